"""A model's README: its YAML front matter (the Hub's model card metadata) and its first sentence.

https://huggingface.co/docs/hub/model-cards. Not here: what the licence named there means (domain.licences).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weighbridge.content.findings import plain
from weighbridge.content.headers.document import MAX_TEXT_SIZE, parse_yaml
from weighbridge.domain.report import Finding

_FENCE = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*---[ \t]*\r?\n")
_END = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
_MARKUP = re.compile(r"!\[[^\]]{0,300}\]\([^)]{0,500}\)|<[^>]{0,500}>|[*`_]{1,3}(?=\S)|(?<=\S)[*`_]{1,3}")
_LINK = re.compile(r"\[([^\]]{1,300})\]\([^)]{0,500}\)")
_SENTENCE = re.compile(r"^(.{20,}?[.!?])(\s|$)", re.DOTALL)
_NO_PROSE = re.compile(r"[#|>=<!*+-]|\d+[.)]\s|import |\[!")
#: Bytes of the text after the front matter that are searched for a description.
_BODY_SIZE = 32 * 1024
#: Bytes of a README that are read.
READ_SIZE = MAX_TEXT_SIZE + _BODY_SIZE


@dataclass(frozen=True)
class Readme:
    """What a README says.

    Attributes:
        fields: the front matter; empty when there is none or it cannot be read.
        description: the first sentence of the text, or empty.
        findings: `readme.front-matter` (warning): why the front matter cannot be read.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    findings: tuple[Finding, ...] = ()


def read(path: Path) -> Readme:
    """Read a README's first bytes; never raises because of its content."""
    with open(path, "rb") as file:
        content = file.read(READ_SIZE)
    front, body = _split(content)
    description = _description(body[:_BODY_SIZE].decode(errors="replace"))
    if front is None:
        return Readme(description=description)
    document = parse_yaml(front)
    harmless = all(finding.level != "error" for finding in document.findings)
    if harmless and isinstance(document.value, dict):
        fields = {key: value for key, value in document.value.items() if isinstance(key, str)}
        return Readme(fields, description)
    why = document.findings[0].message if document.findings else "It is no list of keys."
    finding = Finding("readme.front-matter", "warning", f"The front matter of the README cannot be read. {why}")
    return Readme({}, description, (finding,))


def texts(value: Any, limit: int = 100) -> list[str]:
    """Return a text or a list of texts of the front matter as a list of clean texts."""
    found = value if isinstance(value, list) else [value]
    # A language `no` is a truth value to YAML 1.1.
    words = ["no" if word is False else word for word in found[:limit]]
    return [
        plain(str(word), 200) for word in words if isinstance(word, str | int | float) and not isinstance(word, bool)
    ]


def _split(content: bytes) -> tuple[bytes | None, bytes]:
    begin = _FENCE.match(content)
    if not begin:
        return None, content
    end = _END.search(content, begin.end())
    if not end:
        return None, content
    return content[begin.end() : end.start()], content[end.end() :]


def _description(body: str) -> str:
    paragraph: list[str] = []
    fenced = False
    for line in [*map(str.strip, body.splitlines()), ""]:
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and line and not _NO_PROSE.match(line):
            paragraph.append(line)
            continue
        if sentence := _sentence(" ".join(paragraph)):
            return sentence
        paragraph = []
    return ""


def _sentence(paragraph: str) -> str:
    text = plain(_MARKUP.sub("", _LINK.sub(r"\1", paragraph[:4000])), 2000)
    if len(text) < 20 or text.endswith(":"):
        return ""
    found = _SENTENCE.match(text)
    return plain(found.group(1) if found else text, 300)
