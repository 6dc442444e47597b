"""XML of a model's: OpenVINO's graphs, PMML, property lists; what makes a reader open another file.

Expat reports declarations here and resolves none. Not here: what a graph's layers are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.parsers import expat

from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: Bytes of an XML file that are read; graphs of large language models have a few MiB.
MAX_XML_SIZE = 64 * 1024**2
_CHUNK_SIZE = 1024**2
_INCLUDE = "http://www.w3.org/2001/XInclude include"
_REFERENCE = re.compile(r"&\w+;")
#: Where drawings and property lists say that their grammar is; no reader fetches it to draw or to read.
_GRAMMARS = ("http://www.w3.org/", "http://www.apple.com/DTDs/", "https://www.apple.com/DTDs/")


def read(path: Path, *, max_size: int = MAX_XML_SIZE) -> tuple[Finding, ...]:
    """Return the findings about an XML file.

    Findings: `config.external-entity` (error), `config.invalid` (warning; error when too large to be read).
    """
    findings = Findings()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = lambda _, system, __, ___: _grammar(system, findings)
    parser.EntityDeclHandler = lambda *declared: _entity(declared, findings)
    parser.StartElementHandler = lambda name, attributes: _element(name, attributes, findings)
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_SIZE):
                parser.Parse(chunk)
                if file.tell() > max_size:
                    findings.add("config.invalid", "error", f"It has more than {max_size:,} bytes, too many to read.")
                    return findings.all
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        findings.add("config.invalid", "warning", f"It is no XML: {quoted(str(error))}.")
    return findings.all


def _grammar(system: str | None, findings: Findings) -> None:
    if system and not system.startswith(_GRAMMARS):
        text = f"It names a grammar that readers of XML may fetch: {quoted(system)}."
        findings.add("config.external-entity", "error", text)


def _entity(declared: tuple[Any, ...], findings: Findings) -> None:
    name, value, system = declared[0], declared[2], declared[4]
    if value and _REFERENCE.search(value) and not findings.errors:
        text = f"Its entity {quoted(name)} stands for other entities, which grow with each level."
        findings.add("config.external-entity", "error", text)
    if system:
        text = f"Its entity {quoted(name)} stands for a file that readers of XML may open: {quoted(system)}."
        findings.add("config.external-entity", "error", text)


def _element(name: str, attributes: dict[str, str], findings: Findings) -> None:
    if name == _INCLUDE:
        text = f"It includes a file that readers of XML may open: {quoted(attributes.get('href', ''))}."
        findings.add("config.external-entity", "error", text)
