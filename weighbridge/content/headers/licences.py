"""Which licence a model states: in a README's front matter, a wheel's METADATA, a GGUF, or a LICENSE file's own text.

Names become SPDX ids (https://spdx.org/licenses) where there is one, else stay the Hub's word (`llama3.1`, `gemma`).
Not here: what a licence allows (`weighbridge.domain.licences`).
"""

from __future__ import annotations

import re
from email import message_from_bytes
from functools import cache
from pathlib import Path
from typing import Any

from license_expression import Licensing, get_spdx_licensing

from weighbridge.content.findings import plain

#: The most bytes that are read of a licence file: titles are at the top.
_TEXT_SIZE = 64 * 1024
_METADATA_SIZE = 1024 * 1024
#: Names in use that are neither SPDX ids nor the Hub's words, by their lowercase words.
_ALIASES = {
    "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "bsd license": "bsd",
    "bsd": "bsd",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "gnu affero general public license v3": "AGPL-3.0-only",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "llama 2 community license agreement": "llama2",
    "llama-2-community": "llama2",
    "llama-3-community": "llama3",
    "llama-3.1-community": "llama3.1",
    "llama-3.2-community": "llama3.2",
    "llama-3.3-community": "llama3.3",
    "llama-4-community": "llama4",
    "gemma terms of use": "gemma",
    "gemma-terms-of-use": "gemma",
    "mnpl": "mnpl",
    "mistral ai research license": "mrl",
}
#: Words that name no licence.
_NOTHING = {"", "unknown", "other", "none", "license", "licence", "proprietary", "dual license", "see license"}
#: What a licence's own text says near its top; the first that fits counts, special ones first.
_FINGERPRINTS: tuple[tuple[str, str], ...] = (
    ("llama4", r"llama 4 community license agreement"),
    ("llama3.3", r"llama 3\.3 community license agreement"),
    ("llama3.2", r"llama 3\.2 community license agreement"),
    ("llama3.1", r"llama 3\.1 community license agreement"),
    ("llama3", r"(meta )?llama 3 community license agreement"),
    ("llama2", r"llama 2 community license agreement"),
    ("gemma", r"gemma terms of use"),
    ("mrl", r"mistral ai research license"),
    ("mnpl", r"mistral ai non-production license"),
    ("bigscience-bloom-rail-1.0", r"bigscience rail license v1\.0"),
    ("bigcode-openrail-m", r"bigcode open ?rail-m"),
    ("openrail++", r"creativeml open rail\+\+-m"),
    ("creativeml-openrail-m", r"creativeml open rail-m"),
    ("CC-BY-NC-ND-4.0", r"attribution-noncommercial-noderivatives 4\.0 international"),
    ("CC-BY-NC-SA-4.0", r"attribution-noncommercial-sharealike 4\.0 international"),
    ("CC-BY-NC-4.0", r"attribution-noncommercial 4\.0 international"),
    ("CC-BY-ND-4.0", r"attribution-noderivatives 4\.0 international"),
    ("CC-BY-SA-4.0", r"attribution-sharealike 4\.0 international"),
    ("CC-BY-4.0", r"attribution 4\.0 international"),
    ("CC0-1.0", r"cc0 1\.0 universal"),
    ("AGPL-3.0-only", r"gnu affero general public license\W+version 3"),
    ("LGPL-3.0-only", r"gnu lesser general public license\W+version 3"),
    ("GPL-3.0-only", r"gnu general public license\W+version 3"),
    ("GPL-2.0-only", r"gnu general public license\W+version 2"),
    ("MPL-2.0", r"mozilla public license,? version 2\.0"),
    ("Apache-2.0", r"apache license\W+version 2\.0"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    (
        "ISC",
        r"permission to use, copy, modify, and(?:/or)? distribute this software for any purpose with or without fee",
    ),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms(?s:.*)neither the name of"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
)
_TITLE_LENGTH = 1500
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _FINGERPRINTS)


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()


def licence_name(stated: str) -> str:
    """Return a stated licence as an SPDX expression, or the publisher's own name of it; empty without one."""
    words = plain(stated, 200).strip().strip("\"'")
    folded = words.lower()
    if folded in _NOTHING:
        return ""
    if folded in _ALIASES:
        return _ALIASES[folded]
    try:
        parsed = _spdx().parse(words, validate=False)
    except Exception:  # noqa: BLE001 (beside ExpressionError the parser trips over its own assertions on odd words)
        return words
    if parsed is None:
        return words
    unknown = _spdx().unknown_license_keys(parsed)
    # The library takes `gpl` for GPL-1.0-or-later; a word without a version is kept as the publisher's.
    return words if unknown or folded in ("gpl", "lgpl", "agpl") else str(parsed)


def licence_in_front_matter(fields: Any) -> str:
    """Return the licence of a README's front matter: `license`, or `license_name` when that says `other`."""
    stated = fields.get("license")
    stated = [stated] if isinstance(stated, str) else stated
    names = [licence_name(part) for part in stated if isinstance(part, str)] if isinstance(stated, list) else []
    names = [name for name in names if name]
    if not names and isinstance(fields.get("license_name"), str):
        names = [name for name in [licence_name(fields["license_name"])] if name]
    return all_of(names)


def licence_in_metadata(path: Path) -> str:
    """Return the licence of a Python package's METADATA: `License-Expression`, `License`, or its classifiers."""
    with open(path, "rb") as file:
        message = message_from_bytes(file.read(_METADATA_SIZE))
    for header in ("License-Expression", "License"):
        stated = str(message.get(header, ""))
        if 0 < len(stated) < 200 and "\n" not in stated and (name := licence_name(stated)):
            return name
    classifiers = [str(value).split(" :: ") for value in message.get_all("Classifier", [])]
    names = [licence_name(parts[-1]) for parts in classifiers if parts[0] == "License" and parts[-1] != "OSI Approved"]
    return all_of([name for name in names if name])


def licence_in_text(path: Path) -> str:
    """Return the licence whose title is at the top of a file, or nothing."""
    with open(path, "rb") as file:
        text = file.read(_TEXT_SIZE).decode(errors="replace")
    folded = " ".join(text.lower().split())
    for name, pattern in _COMPILED:
        searched = folded if name in ("BSD-3-Clause", "BSD-2-Clause", "MIT") else folded[:_TITLE_LENGTH]
        if pattern.search(searched):
            return name
    return ""


def all_of(names: list[str]) -> str:
    """Join licences that all hold into one expression."""
    unique = list(dict.fromkeys(names))
    if len(unique) < 2:
        return "".join(unique)
    return " AND ".join(f"({name})" if " OR " in name or " AND " in name else name for name in unique)
