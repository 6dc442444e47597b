"""JSON, YAML, TOML and INI of a model, read within limits: size, depth, repeated keys, invalid text.

A text that no reader can parse is an error when loaders open a file of that name, or when it mentions a key by which
loaders run something: another parser may be less strict. Otherwise nobody reads it, and it is a warning. Not here: what
the keys mean (config), YAML's tags and aliases (yaml_text), XML (xml_text).
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers.yaml_text import MAX_YAML_SIZE, read_stream
from weighbridge.content.loading.loader_keys import LOADER_KEYS
from weighbridge.content.text_encoding import decode
from weighbridge.domain.report import Finding, Level

#: Bytes of a JSON file; the largest real tokenizer.json are about half of it.
MAX_JSON_SIZE = 64 * 1024**2
#: Bytes of a text of other formats.
MAX_TEXT_SIZE = MAX_YAML_SIZE
#: Levels of nesting. Rust's serde_json, which reads these files for most tools, stops at 128.
MAX_DEPTH = 100
#: Keys that are not ordinary words of a text.
_TELLING = [entry.name for entry in LOADER_KEYS if not entry.beside and re.search("[_/-]", entry.name)]
#: What a text cannot be without when its keys or tags make a loader run something; any letter may be escaped.
_MENTIONS = (
    b"!!python",
    *(b"!%b:" % tag for tag in (b"new", b"name", b"apply", b"module")),
    *(b"\\u00%d" % digit for digit in range(2, 8)),
    *(name.encode() for name in _TELLING),
)


@dataclass(frozen=True)
class Document:
    """A document's value, or None with an error among the findings.

    Attributes:
        value: plain JSON types (YAML and TOML add dates).
        findings: what is wrong with it.
        too_large: whether it was not read because of its size.
        more: further documents of the same text, and values that a repeated key overwrote.
    """

    value: Any = None
    findings: tuple[Finding, ...] = ()
    too_large: bool = False
    more: tuple[Any, ...] = ()


class _Refused(ValueError):
    """The text is not accepted; the message says why, as the end of “it …”."""


def read_json(path: Path, max_size: int = MAX_JSON_SIZE, *, opened: bool = True) -> Document:
    """Read a JSON file (RFC 8259); see `parse_json`."""
    content = _content(path, max_size)
    return Document(too_large=True) if content is None else parse_json(content, opened=opened)


def parse_json(content: bytes, *, opened: bool = True) -> Document:
    """Parse JSON in memory, or JSON lines where no loader opens the file by its name (`opened`).

    Findings: `config.invalid` (not JSON, no text, too deep), `config.duplicate-key`, `config.not-json` (NaN).
    """
    findings, overwritten = Findings(), list[Any]()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            for key, value in _repeated(items):
                text = f"The key {quoted(key)} is there twice; tools differ in which one they take."
                findings.add("config.duplicate-key", "error" if opened else "warning", text)
                overwritten.append({key: value})
        return found

    def constant(name: str) -> float:
        findings.add("config.not-json", "warning", f"It holds {name}, which JSON does not know.")
        return float(name)

    decoder = json.JSONDecoder(object_pairs_hook=pairs, parse_constant=constant)
    try:
        value = _decoded(decode(content), decoder, lines=not opened)
        if deeper_than(value, MAX_DEPTH) or deeper_than(overwritten, MAX_DEPTH):
            raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
    except UnicodeDecodeError:
        findings.add("config.invalid", "error" if opened or b"\0" in content else "warning", "It is no text.")
    except RecursionError:
        findings.add("config.invalid", "error", f"It is nested deeper than {MAX_DEPTH} levels.")
    except _Refused as error:
        findings.add("config.invalid", "error", f"It {error}.")
    except ValueError as error:
        level: Level = "error" if opened or mentions_loader_key(content) else "warning"
        findings.add("config.invalid", level, f"It is no JSON: {quoted(str(error))}.")
    else:
        return Document(value, findings.all, more=tuple(overwritten))
    return Document(None, findings.all)


def _repeated(items: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the pairs that a later one of the same key overwrites."""
    last = {key: number for number, (key, _) in enumerate(items)}
    return (pair for number, pair in enumerate(items) if last[pair[0]] != number)


def _decoded(text: str, decoder: json.JSONDecoder, *, lines: bool) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError:
        written = [line for line in text.split("\n") if line.strip()] if lines else []
        if len(written) < 2 or written[0].lstrip()[:1] not in ("{", "["):
            raise
        return [decoder.decode(line) for line in written]


def mentions_loader_key(content: bytes) -> bool:
    """Return whether a text that cannot be parsed has a key or tag by which loaders run something, perhaps escaped."""
    return any(mention in content for mention in _MENTIONS)


def deeper_than(value: Any, levels: int) -> bool:
    """Return whether plain JSON is nested deeper; level by level, so that the depth costs no stack."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            child
            for part in layer
            if isinstance(part, dict | list)
            for child in (part.values() if isinstance(part, dict) else part)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    return True


def read_yaml(path: Path, *, opened: bool = False) -> Document:
    """Read a YAML file as plain data; see `parse_yaml`."""
    content = _content(path, MAX_YAML_SIZE)
    return Document(too_large=True) if content is None else parse_yaml(content, opened=opened)


def parse_yaml(content: bytes, *, opened: bool = False) -> Document:
    """Parse every document of a YAML text as plain data; findings as `yaml_text.read_stream`."""
    stream = read_stream(content)
    findings = Findings()
    for finding in stream.findings:
        softer = finding.rule == "config.invalid" and not opened and not mentions_loader_key(content)
        findings.extend([replace(finding, level="warning") if softer else finding])
    first = stream.documents[0] if stream.documents else None
    return Document(first, findings.all, more=(*stream.documents[1:], *stream.overwritten))


def read_toml(path: Path) -> Document:
    """Read a TOML file. Findings: `config.invalid`."""
    return _read_text(path, "TOML", tomllib.loads, unread="warning")


def read_ini(path: Path) -> Document:
    """Read an INI file, such as spaCy's config.cfg, as values by section. Findings: `config.invalid`.

    Many programs have a syntax of their own under `.conf` and `.cfg`, so any other syntax than INI is a note.
    """
    return _read_text(path, "INI", _ini, unread="note")


#: The section of what comes before the first one, such as all of a Java properties file.
_NO_SECTION = "."


def _ini(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(f"[{_NO_SECTION}]\n{text}")
    return {name: {key: _ini_value(value) for key, value in parser.items(name)} for name in parser.sections()}


def _ini_value(text: str | None) -> Any:
    """Return a value as spaCy reads it: JSON where it is JSON, else a text."""
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return text
    return text if deeper_than(value, MAX_DEPTH) else value


def _read_text(path: Path, name: str, parse: Callable[[str], dict[str, Any]], *, unread: Level) -> Document:
    content = _content(path, MAX_TEXT_SIZE)
    if content is None:
        return Document(too_large=True)
    findings = Findings()
    try:
        value = parse(decode(content))
        if not deeper_than(value, MAX_DEPTH):
            return Document(value)
        findings.add("config.invalid", "error", f"It is nested deeper than {MAX_DEPTH} levels.")
    except RecursionError:
        findings.add("config.invalid", "error", f"It is nested deeper than {MAX_DEPTH} levels.")
    except (ValueError, configparser.Error) as error:
        level = "error" if mentions_loader_key(content) else unread
        findings.add("config.invalid", level, f"It is no {name}: {quoted(str(error))}.")
    return Document(None, findings.all)


def _content(path: Path, max_size: int) -> bytes | None:
    with open(path, "rb") as file:
        content = file.read(max_size + 1)
    return content if len(content) <= max_size else None
