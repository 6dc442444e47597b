from pathlib import Path

import pytest

from tests.content.headers.samples import write
from tests.services.models import smollm2  # noqa: F401 (fixture)
from weighbridge.content.headers.licences import (
    _ALIASES,
    _FINGERPRINTS,
    all_of,
    licence_in_front_matter,
    licence_in_metadata,
    licence_in_text,
    licence_name,
)
from weighbridge.domain.licences import LICENCES, licence_names


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0"),
        ("llama3.1", "llama3.1"),
        ("Llama-3.1-Community", "llama3.1"),
        ("gemma", "gemma"),
        ("openrail", "openrail"),
        ("creativeml-openrail-m", "creativeml-openrail-m"),
        ("Our Own Terms (2024)", "Our Own Terms (2024)"),
        ("bad\x1b[31m\nname", "bad [31m name"),
        ("gpl", "gpl"),
        ("( AND withandApache-2.0", "( AND withandApache-2.0"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("other", ""),
        ("unknown", ""),
        ("  ", ""),
    ],
)
def test_names_become_spdx_where_there_is_one(stated: str, name: str) -> None:
    assert licence_name(stated) == name


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"license": "apache-2.0"}, "Apache-2.0"),
        ({"license": ["mit", "cc-by-4.0"]}, "MIT AND CC-BY-4.0"),
        ({"license": "other", "license_name": "llama-3.1-community"}, "llama3.1"),
        ({"license": "other"}, ""),
        ({"license": {"a": 1}}, ""),
        ({"license": 3}, ""),
        ({}, ""),
    ],
)
def test_front_matter(fields: dict[str, object], name: str) -> None:
    assert licence_in_front_matter(fields) == name


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"Name: x\nLicense-Expression: Apache-2.0 OR MIT\n", "Apache-2.0 OR MIT"),
        (b"Name: x\nLicense: Apache-2.0\nClassifier: License :: OSI Approved :: MIT License\n", "Apache-2.0"),
        (b"Name: x\nLicense: " + b"long " * 100 + b"\nClassifier: License :: OSI Approved :: MIT License\n", "MIT"),
        (b"Name: x\nClassifier: License :: OSI Approved\n", ""),
        (b"\xff\xfe\0", ""),
        (b"", ""),
    ],
)
def test_metadata(tmp_path: Path, content: bytes, name: str) -> None:
    assert licence_in_metadata(write(tmp_path, content)) == name


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version Release Date: July 23, 2024", "llama3.1"),
        ("META LLAMA 3 COMMUNITY LICENSE AGREEMENT\nMeta Llama 3 Version", "llama3"),
        ("Gemma Terms of Use\n\nLast modified: April 1, 2024", "gemma"),
        ("# Mistral AI Research License\nIf You want to use", "mrl"),
        ("Attribution-NonCommercial 4.0 International\n\n====", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution 4.0 International Public License", "CC-BY-4.0"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0-only"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\n   Version 3, 19 November 2007", "AGPL-3.0-only"),
        (
            "Copyright 2024 Somebody\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy",
            "MIT",
        ),
        ("Redistribution and use in source and binary forms, ...\n3. Neither the name of the X nor", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms, with or without", "BSD-2-Clause"),
        ("Use it as you like.", ""),
        ("", ""),
    ],
)
def test_texts_are_recognised_by_their_own_words(tmp_path: Path, content: str, name: str) -> None:
    assert licence_in_text(write(tmp_path, content.encode())) == name


def test_a_licence_that_is_only_mentioned_far_below_its_title_is_not_the_licence(tmp_path: Path) -> None:
    content = "Terms of Somebody\n" + "words " * 1000 + "Apache License Version 2.0"
    assert licence_in_text(write(tmp_path, content.encode())) == ""


def test_a_real_licence_and_a_real_metadata(smollm2: dict[str, Path]) -> None:  # noqa: F811 (fixture)
    assert licence_in_text(smollm2["LICENSE"]) == "Apache-2.0"
    assert licence_in_metadata(smollm2["METADATA"]) == "Apache-2.0"


def test_licences_of_several_places_all_hold() -> None:
    assert all_of([]) == ""
    assert all_of(["MIT", "MIT"]) == "MIT"
    assert all_of(["MIT OR ISC", "Apache-2.0"]) == "(MIT OR ISC) AND Apache-2.0"
    assert licence_names(all_of(["llama3.1", "Apache-2.0"])) == ("Apache-2.0", "llama3.1")


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", ("Classpath-exception-2.0", "GPL-2.0-only", "MIT")),
        ("( AND withandApache-2.0", ("( AND withandApache-2.0",)),
        ("not WITH -LicenseRef-x", ("-LicenseRef-x", "not")),
        ("Our Own Terms (2024)", ("Our Own Terms (2024)",)),
        ("", ("",)),
    ],
)
def test_the_policy_can_take_any_name_apart(expression: str, names: tuple[str, ...]) -> None:
    assert licence_names(expression) == names


def test_what_each_recognised_licence_allows_is_known() -> None:
    """Names that a text or an alias leads to are judged by the policy; only a few have no entry there."""
    names = {name for name, _ in _FINGERPRINTS} | set(_ALIASES.values())
    unknown = {name for name in names if name.lower() not in LICENCES}
    assert unknown <= {"bsd", "mnpl", "bigscience-bloom-rail-1.0", "GPL-2.0-only", "LGPL-3.0-only"}
