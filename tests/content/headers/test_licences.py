from pathlib import Path

import pytest

from tests.content.headers.samples import write
from tests.services.models import smollm2  # noqa: F401 (fixture)
from weighbridge.content.headers.licences import (
    _FINGERPRINTS,
    licence_in_front_matter,
    licence_in_metadata,
    licence_in_text,
    stated_licence,
)
from weighbridge.domain.licence_names import ALIASES, all_of, licence_names
from weighbridge.domain.licence_table import licence_of


def test_a_stated_name_is_one_line_of_visible_characters() -> None:
    assert stated_licence("bad\x1b[31m\nname") == "bad [31m name"
    assert stated_licence("  apache-2.0\n") == "Apache-2.0"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"license": "apache-2.0"}, "Apache-2.0"),
        ({"license": ["mit", "cc-by-4.0"]}, "MIT AND CC-BY-4.0"),
        ({"license": "other", "license_name": "llama-3.1-community"}, "llama3.1"),
        ({"license": "other"}, ""),
        ({"license": "other", "license_link": "https://ai.google.dev/gemma/terms"}, "gemma"),
        ({"license": "other", "license_name": "mrl", "license_link": "https://mistral.ai/licenses/MRL-0.1.md"}, "mrl"),
        ({"license": "other", "license_name": "other", "license_link": "LICENSE"}, ""),
        ({"license": "other", "license_name": "modified-mit"}, "modified-mit"),
        ({"license": ["apache-2.0", "other"], "license_name": "our-terms"}, "Apache-2.0 AND our-terms"),
        ({"license": ["apache-2.0", "other"]}, "Apache-2.0 AND other"),
        ({"license": ["other", "unknown"]}, ""),
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
        (
            "This project is under the terms of the Modified BSD License (also known as New or Revised BSD):\n"
            "Redistribution and use in source and binary forms, ...\n3. Neither the name of the X nor",
            "BSD-3-Clause",
        ),
        ("BigScience Open RAIL-M License\n\ndated August 18, 2022", "bigscience-openrail-m"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n  Version 2.1, February 1999", "LGPL-2.1-only"),
        ("This Academic Free License applies to\n\nLicensed under the Academic Free License version 3.0", "AFL-3.0"),
        ("Licensed under the Open Software License version 3.0\n", "OSL-3.0"),
        ("Public Domain Dedication and License (PDDL)\n\nPreamble", "PDDL-1.0"),
        ("Attribution-ShareAlike 3.0 Unported\n\nLicense", "CC-BY-SA-3.0"),
        ("Creative Commons Attribution-NonCommercial 2.0 Generic\n\nLicense", "CC-BY-NC-2.0"),
        ("DO WHAT THE FUCK YOU WANT TO PUBLIC LICENSE\nVersion 2, December 2004", "WTFPL"),
        (
            "Redistribution and use in source and binary forms, with or without modification, are permitted (subject\n"
            "to the limitations in the disclaimer below) ... Neither the name of",
            "BSD-3-Clause-Clear",
        ),
        ("Use it as you like.", ""),
        ("LLAMA-LATXA 3.1 COMMUNITY LICENSE AGREEMENT\nLatxa Version Release Date", ""),
        (
            "Modified MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"
            "Our only modification part is that products of more than 100 million monthly active users show its name.",
            "modified-mit",
        ),
        (
            "Permission is hereby granted, free of charge, to any person obtaining a copy\n"
            + "words " * 300
            + "You may not exercise these rights if your company's monthly revenue is above $20 million.",
            "modified-mit",
        ),
        ("“Commons Clause” License Condition v1.0\n\nApache License\nVersion 2.0, January 2004", "modified-apache-2.0"),
        ("Apache License\nVersion 2.0\nno additional terms or conditions; Additional Liability", "Apache-2.0"),
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


def test_what_each_recognised_licence_allows_is_known() -> None:
    """Names that a text or an alias leads to are judged by the policy, but for what is modified."""
    names = {name for name, _ in _FINGERPRINTS} | set(ALIASES.values())
    assert {name for name in names if licence_of(name) is None} == {"modified-mit"}
