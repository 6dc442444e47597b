"""Which licence a model states: in a README's front matter, a wheel's METADATA, a GGUF, or a LICENSE file's own text.

Not here: how a licence is named (domain.licence_names), and what it allows (domain.licence_table).
"""

from __future__ import annotations

import re
from email import message_from_bytes
from pathlib import Path
from typing import Any

from weighbridge.content.findings import plain
from weighbridge.domain.licence_names import all_of, licence_name

#: The most bytes that are read of a licence file: titles are at the top.
_TEXT_SIZE = 64 * 1024
_METADATA_SIZE = 1024 * 1024
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
    ("bigscience-openrail-m", r"bigscience open ?rail-m"),
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
    ("LGPL-2.1-only", r"gnu lesser general public license\W+version 2\.1"),
    ("LGPL-3.0-only", r"gnu lesser general public license\W+version 3"),
    ("GPL-3.0-only", r"gnu general public license\W+version 3"),
    ("GPL-2.0-only", r"gnu general public license\W+version 2"),
    ("MPL-2.0", r"mozilla public license,? version 2\.0"),
    ("Apache-2.0", r"apache license\W+version 2\.0"),
    ("ECL-2.0", r"educational community license\W+version 2\.0"),
    ("AFL-3.0", r"academic free license (?:version|v\.) ?3\.0"),
    ("OSL-3.0", r"open software license (?:version|v\.) ?3\.0"),
    ("EPL-2.0", r"eclipse public license - v ?2\.0"),
    ("EUPL-1.2", r"european union public licence v\. ?1\.2"),
    ("Artistic-2.0", r"artistic license 2\.0"),
    ("BSL-1.0", r"boost software license - version 1\.0"),
    ("PDDL-1.0", r"public domain dedication and licen[sc]e"),
    ("ODbL-1.0", r"open database licen[sc]e"),
    ("ODC-By-1.0", r"open data commons attribution licen[sc]e"),
    ("WTFPL", r"do what the fuck you want to public license"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    (
        "ISC",
        r"permission to use, copy, modify, and(?:/or)? distribute this software for any purpose with or without fee",
    ),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD-3-Clause-Clear", r"are permitted \(subject to the limitations in the disclaimer below\)"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms(?s:.*)neither the name of"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
)
_TITLE_LENGTH = 1500
_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in _FINGERPRINTS)
#: Licences that may come after other words than a title's.
_WITHOUT_TITLE = ("BSD-3-Clause-Clear", "BSD-3-Clause", "BSD-2-Clause", "MIT")
_OLDER_CREATIVE_COMMONS = re.compile(r"attribution(?:-[a-z]+){0,2} (?:2\.0|2\.5|3\.0)(?: unported| generic)?(?= )")
#: What publishers write who add conditions of their own to a well-known text: then it is no longer that licence. Not
#: “modified BSD”, which is the usual name of the BSD 3-Clause License.
_ALTERED = re.compile(
    r"commons clause|only modification|modified (?:mit|apache)|mit license (?:with|variant)|monthly active users"
    r"|(?:monthly|annual) revenue|additional conditions?\b"
)
#: The licences whose texts are altered so; others have such words of their own.
_ALTERABLE = ("MIT", "ISC", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause")


def stated_licence(text: str) -> str:
    """Return the licence that a publisher's text names, by its usual name; empty where it names none."""
    return licence_name(plain(text, 200))


def licence_in_front_matter(fields: Any) -> str:
    """Return the licence of a README's front matter: `license`, and for `other` the `license_name` or `license_link`.

    An `other` beside known licences that nothing names stays, so that the rest is not taken for all of it.
    """
    stated = fields.get("license")
    listed = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    parts = [part for part in listed if isinstance(part, str)]
    names = [name for name in map(stated_licence, parts) if name]
    if len(names) == len(parts) and names:
        return all_of(names)
    return all_of([*names, *([other] if (other := _other(fields)) else ["other"] if names else [])])


def _other(fields: Any) -> str:
    """Return the licence that a front matter describes beside the Hub's list, or nothing."""
    name, link = (fields.get(key) for key in ("license_name", "license_link"))
    if isinstance(name, str) and (named := stated_licence(name)):
        return named
    linked = stated_licence(link) if isinstance(link, str) else ""
    return linked if linked != link else ""


def licence_in_metadata(path: Path) -> str:
    """Return the licence of a Python package's METADATA: `License-Expression`, `License`, or its classifiers."""
    with open(path, "rb") as file:
        message = message_from_bytes(file.read(_METADATA_SIZE))
    for header in ("License-Expression", "License"):
        stated = str(message.get(header, ""))
        if 0 < len(stated) < 200 and "\n" not in stated and (name := stated_licence(stated)):
            return name
    classifiers = [str(value).split(" :: ") for value in message.get_all("Classifier", [])]
    names = [
        stated_licence(parts[-1]) for parts in classifiers if parts[0] == "License" and parts[-1] != "OSI Approved"
    ]
    return all_of([name for name in names if name])


def licence_in_text(path: Path) -> str:
    """Return the licence whose title is at the top of a file, or nothing; with further conditions `modified-…`."""
    with open(path, "rb") as file:
        text = file.read(_TEXT_SIZE).decode(errors="replace")
    folded = " ".join(text.lower().split())
    for name, pattern in _COMPILED:
        searched = folded if name in _WITHOUT_TITLE else folded[:_TITLE_LENGTH]
        if pattern.search(searched):
            altered = name in _ALTERABLE and _ALTERED.search(folded)
            return f"modified-{name.lower()}" if altered else name
    older = _OLDER_CREATIVE_COMMONS.search(folded[:_TITLE_LENGTH])
    return licence_name(f"Creative Commons {older[0]}") if older else ""
