"""Configuration files of models: what in them makes a reader run code, leave the folder, or break.

The content decides, never the name, as equal bytes may have many names. Not here: reading the text
(document, yaml_text), keys that make loaders act (loading.loader_keys), templates (templates.places), and whether named
files exist (cards.completeness).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import document, keras
from weighbridge.content.headers.long_json import condensed
from weighbridge.content.loading.inspection import inspect_value
from weighbridge.content.templates.inspection import inspect_all
from weighbridge.content.templates.places import metadata_templates, templates_in
from weighbridge.domain.paths import safe_path
from weighbridge.domain.report import Finding
from weighbridge.errors import UnsafePath

#: Bytes of a text in metadata that is parsed; larger ones are vocabularies.
MAX_EMBEDDED_SIZE = 16 * 1024**2


def inspect_config(value: Any, place: str = "") -> tuple[Finding, ...]:
    """Return the findings about a configuration's value; `place` is where it is in its file.

    Those of `loading.inspection`, `index.unsafe-path`, `index.invalid` (errors), the templates' `template.*`,
    and Keras's `keras.*`.
    """
    findings = Findings()
    findings.extend(inspect_value(value, place))
    if isinstance(value, dict) and "weight_map" in value:
        _inspect_index(value["weight_map"], findings)
    findings.extend(inspect_all(templates_in(value)))
    if keras.is_configuration(value):
        findings.extend(keras.inspect(value))
    return findings.all


def inspect_document(found: document.Document) -> tuple[Finding, ...]:
    """Return the findings about a text that was read: its own, and those about every value in it."""
    findings = Findings()
    findings.extend(found.findings)
    for value in (found.value, *found.more):
        findings.extend(inspect_config(value))
    return findings.all


def inspect_text(text: str, place: str) -> tuple[Finding, ...]:
    """Return the findings about a configuration that is a text in a file's metadata, as JSON or YAML.

    A text that is neither gives none: what readers of such metadata cannot parse they cannot run, unless it only just
    fails to be JSON and has a loader's key.
    """
    content = text.encode(errors="replace")
    if len(content) > MAX_EMBEDDED_SIZE:
        return ()
    found = document.Document()
    bracketed = text.lstrip()[:1] in ("{", "[")
    if bracketed:
        found = document.parse_json(content, opened=False)
    if found.value is None and document.mentions_loader_key(content) and len(content) <= document.MAX_TEXT_SIZE:
        found = document.parse_yaml(content)
    findings = Findings()
    for finding in found.findings:
        if finding.level == "error" and (bracketed or finding.rule != "config.invalid"):
            findings.extend([replace(finding, location=place)])
    for value in (found.value, *found.more):
        findings.extend(inspect_config(value, place))
    return findings.all


def inspect_unnamed(path: Path) -> tuple[Finding, ...]:
    """Return the findings about a text without a known name, where it is a whole configuration, JSON or YAML."""
    content = path.read_bytes()
    found = document.Document()
    if content.lstrip()[:1] in (b"{", b"["):
        found = document.parse_json(content, opened=False)
    if found.value is None and document.mentions_loader_key(content):
        found = document.parse_yaml(content)
    return inspect_document(found) if isinstance(found.value, dict | list) else ()


def inspect_metadata(metadata: Mapping[str, Any], place: str = "") -> tuple[Finding, ...]:
    """Return the findings about a file's metadata: its keys, its templates, configurations and pickles in its texts."""
    findings = Findings()
    findings.extend(inspect_all(metadata_templates(metadata)))
    others = {key: value for key, value in metadata.items() if "chat_template" not in key}
    findings.extend(inspect_value(others, place))
    for key, value in others.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                findings.extend(inspect_text(text, f"{place}.{key}".lstrip(".")))
    return findings.all


def inspect_file(path: Path) -> dict[str, Any]:
    """Read and inspect a JSON file that loaders open by its name; returns plain JSON; a child's work (sandbox)."""
    return _inspected(path, opened=True)


def inspect_other_file(path: Path) -> dict[str, Any]:
    """Read and inspect any other JSON file, as `inspect_file`."""
    return _inspected(path, opened=False)


def _inspected(path: Path, *, opened: bool) -> dict[str, Any]:
    if path.stat().st_size > document.MAX_JSON_SIZE:
        return {"findings": [], "too_large": True}
    short = condensed(path)
    findings = Findings()
    findings.extend(inspect_document(document.parse_json(bytes(short.text), opened=opened)))
    if short.repeated:
        text = "A key of its vocabulary is there twice; tools differ in which one they take."
        findings.add("config.duplicate-key", "error" if opened else "warning", text)
    return {"findings": [asdict(finding) for finding in findings.all], "too_large": False}


def weight_files(index: Any) -> frozenset[str]:
    """Return the safe file names that an index's `weight_map` gives, relative to the index's own folder."""
    mapped = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapped, dict):
        return frozenset()
    return frozenset(name for name in set(_texts(mapped)) if not _why_unsafe(name))


def _texts(mapped: dict[str, Any]) -> Iterator[str]:
    return (name for name in mapped.values() if isinstance(name, str))


def _inspect_index(mapped: Any, findings: Findings) -> None:
    if not isinstance(mapped, dict) or not all(isinstance(name, str) for name in mapped.values()):
        findings.add("index.invalid", "error", "Its weight_map is no list of file names by tensor.", "weight_map")
        return
    for name in sorted(set(_texts(mapped))):
        if why := _why_unsafe(name):
            text = f"Its weight_map names the file {quoted(name)}: {why}."
            findings.add("index.unsafe-path", "error", text, "weight_map")


def _why_unsafe(name: str) -> str:
    try:
        safe_path(name)
    except UnsafePath:
        return "not a safe name inside of the model"
    return ""
