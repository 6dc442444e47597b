"""JSON, YAML and TOML of a model's, read within limits: size, depth, aliases, repeated keys, what is no JSON at all.

Not here: what the keys mean (config).
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: Bytes of a JSON file; the largest real tokenizer.json are about half of it.
MAX_JSON_SIZE = 64 * 1024**2
#: Bytes of a YAML or TOML text; model cards with evaluation results reach 0.5 MiB.
MAX_TEXT_SIZE = 2 * 1024**2
#: Levels of nesting. Rust's serde_json, which reads these files for most tools, stops at 128.
MAX_DEPTH = 100
#: Values that a YAML text stands for once its aliases are followed.
MAX_YAML_VALUES = 500_000


@dataclass(frozen=True)
class Document:
    """A document's value, or None with an error among the findings.

    Attributes:
        value: plain JSON types (YAML and TOML add dates).
        findings: what is wrong with it.
        too_large: whether it was not read because of its size.
    """

    value: Any = None
    findings: tuple[Finding, ...] = ()
    too_large: bool = False


class _Refused(ValueError):
    """The text is not accepted; the message says why, as the end of “it …”."""


def read_json(path: Path, max_size: int = MAX_JSON_SIZE) -> Document:
    """Read a JSON file (RFC 8259).

    Findings: `config.invalid` (not JSON, not UTF-8, too deep), `config.duplicate-key`, `config.not-json` (NaN).
    """
    content = _content(path, max_size)
    return Document(too_large=True) if content is None else parse_json(content)


def parse_json(content: bytes) -> Document:
    """Parse JSON in memory; see `read_json`."""
    findings = Findings()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    text = f"The key {quoted(key)} is there twice; tools differ in which one they take."
                    findings.add("config.duplicate-key", "error", text)
                seen.add(key)
        return found

    def constant(name: str) -> float:
        findings.add("config.not-json", "warning", f"It holds {name}, which JSON does not know.")
        return float(name)

    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=pairs, parse_constant=constant)
        if deeper_than(value, MAX_DEPTH):
            raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
    except UnicodeDecodeError:
        findings.add("config.invalid", "error", "It is not UTF-8.")
    except RecursionError:
        findings.add("config.invalid", "error", f"It is nested deeper than {MAX_DEPTH} levels.")
    except _Refused as error:
        findings.add("config.invalid", "error", f"It {error}.")
    except ValueError as error:
        findings.add("config.invalid", "error", f"It is no JSON: {quoted(str(error))}.")
    else:
        return Document(value, findings.all)
    return Document(None, findings.all)


def deeper_than(value: Any, levels: int) -> bool:
    """Whether plain JSON is nested deeper; level by level, so that the depth costs no stack."""
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


def read_yaml(path: Path) -> Document:
    """Read a YAML file as plain data. Findings: as `parse_yaml`."""
    content = _content(path, MAX_TEXT_SIZE)
    return Document(too_large=True) if content is None else parse_yaml(content)


def parse_yaml(content: bytes) -> Document:
    """Parse the first document of a YAML text as plain data.

    1. The events are walked first: depth, tags that name Python objects, and the size once aliases are followed.
    2. Only then is a value built, by the safe loader; C code would overflow its stack on deep nesting otherwise.

    Findings: `config.invalid`, `config.unsafe-tag` (error: Python's own tags), `config.remote-code` (warning: tags of
    an application's).
    """
    findings = Findings()
    try:
        text = content.decode("utf-8-sig")
        _walk_yaml(text, findings)
        if not len(findings):
            return Document(next(yaml.load_all(text, Loader=_LOADER), None), findings.all)
    except UnicodeDecodeError:
        findings.add("config.invalid", "error", "It is not UTF-8.")
    except _Refused as error:
        findings.add("config.invalid", "error", f"It {error}.")
    except Exception as error:  # noqa: BLE001 (the constructors of dates, numbers and sets raise anything on odd values)
        findings.add("config.invalid", "error", f"It is no plain YAML: {quoted(str(error))}.")
    return Document(None, findings.all)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _walk_yaml(text: str, findings: Findings) -> None:
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.DocumentEndEvent):
            return
        tag = getattr(event, "tag", None)
        if tag and tag.startswith("tag:yaml.org,2002:python/"):
            findings.add("config.unsafe-tag", "error", f"Its tag {quoted(tag)} makes Python run when it is read.")
        elif tag and tag.startswith("!") and tag != "!":
            text = (
                f"Its tag {quoted(tag)} stands for code of the reader's; tools such as HyperPyYAML call any function."
            )
            findings.add("config.remote-code", "warning", text)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            if len(open_nodes) > MAX_DEPTH:
                raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _Refused("has an alias inside of what it stands for, or of nothing")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if total > MAX_YAML_VALUES:
            raise _Refused(f"stands for more than {MAX_YAML_VALUES:,} values")


def read_toml(path: Path) -> Document:
    """Read a TOML file. Findings: `config.invalid`."""
    content = _content(path, MAX_TEXT_SIZE)
    if content is None:
        return Document(too_large=True)
    findings = Findings()
    try:
        value = tomllib.loads(content.decode())
        if not deeper_than(value, MAX_DEPTH):
            return Document(value)
        findings.add("config.invalid", "error", f"It is nested deeper than {MAX_DEPTH} levels.")
    except RecursionError:
        findings.add("config.invalid", "error", f"It is nested deeper than {MAX_DEPTH} levels.")
    except ValueError as error:
        findings.add("config.invalid", "error", f"It is no TOML: {quoted(str(error))}.")
    return Document(None, findings.all)


def _content(path: Path, max_size: int) -> bytes | None:
    with open(path, "rb") as file:
        content = file.read(max_size + 1)
    return content if len(content) <= max_size else None
