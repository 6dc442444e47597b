"""Configuration files of models: what in their keys makes a reader run code, leave the folder, or break.

Judged by what stands in a file, never by its name, since equal bytes may have many names. Covers config.json,
tokenizer_config.json, model_index.json, modules.json, `*.index.json`, adapter_config.json, Hydra's and NeMo's YAML.
Not here: reading the text (document), chat templates (templates), and whether named files exist (cards.completeness).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import document
from weighbridge.content.headers.templates import inspect, templates_in
from weighbridge.domain.paths import safe_path
from weighbridge.domain.report import Finding
from weighbridge.errors import UnsafePath

#: Keys that make a reader import code that lies beside the weights or elsewhere, by what they do.
_REMOTE_CODE = {
    "auto_map": "names classes in Python files of the model (trust_remote_code)",
    "custom_pipelines": "names a pipeline in Python files of the model (trust_remote_code)",
    "custom_pipeline": "names a pipeline in Python files of the model (trust_remote_code)",
    "_target_": "names a function that Hydra calls",
    "_partial_": "names a function that Hydra calls",
    "__target__": "names a function that is called",
}
#: A switch that is dangerous only when it is on.
_SWITCHES = ("trust_remote_code", "use_remote_code", "allow_pickle", "enable_unsafe_deserialization")
#: Packages that modules.json and model_index.json may name without any code of the model's own.
_OWN_PACKAGES = re.compile(r"^(sentence_transformers|transformers|diffusers|onnxruntime|optimum|torch\.nn)(\.|$)")
_SUSPECTS = frozenset({*_REMOTE_CODE, *_SWITCHES})
#: Values of one file that are looked at; the largest tokenizers have about two million.
MAX_VALUES = 20_000_000


def inspect_config(value: Any) -> tuple[Finding, ...]:
    """Return the findings about a configuration's value.

    `config.remote-code` (warning), `config.limit`, `index.unsafe-path`, `index.invalid` (errors), and the templates'
    `template.*`.
    """
    findings = Findings()
    _inspect_keys(value, findings)
    if isinstance(value, dict):
        if "weight_map" in value:
            _inspect_index(value["weight_map"], findings)
        if "_diffusers_version" in value:
            _inspect_pipeline(value, findings)
        for template in templates_in(value):
            findings.extend(inspect(template))
    elif isinstance(value, list):
        _inspect_modules(value, findings)
    return findings.all


def inspect_file(path: Path) -> dict[str, Any]:
    """Read and inspect a JSON file and return its findings as plain JSON; a child's work (sandbox)."""
    found = document.read_json(path)
    findings = [asdict(finding) for finding in (*found.findings, *inspect_config(found.value))]
    return {"findings": findings, "too_large": found.too_large}


def weight_files(index: Any) -> frozenset[str]:
    """Return the safe file names that an index's `weight_map` gives, relative to the index's own folder."""
    mapped = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapped, dict):
        return frozenset()
    return frozenset(name for name in set(_texts(mapped)) if not _why_unsafe(name))


def _texts(mapped: dict[str, Any]) -> Iterator[str]:
    return (name for name in mapped.values() if isinstance(name, str))


def _inspect_keys(value: Any, findings: Findings) -> None:
    stack: list[tuple[Any, str]] = [(value, "")] if isinstance(value, dict | list) else []
    count = 0
    while stack:
        found, where = stack.pop()
        count += len(found)
        if count > MAX_VALUES:
            text = f"It holds more than {MAX_VALUES:,} values; the rest was not looked at."
            findings.add("config.limit", "error", text)
            return
        if isinstance(found, dict):
            for key in _SUSPECTS & found.keys():
                _inspect_key(key, found[key], f"{where}.{key}".lstrip("."), findings)
        children: Iterable[tuple[Any, Any]] = found.items() if isinstance(found, dict) else enumerate(found)
        for key, child in children:
            if isinstance(child, dict) or (isinstance(child, list) and any(isinstance(x, dict | list) for x in child)):
                stack.append((child, f"{where}.{key}"[:200]))
            elif isinstance(child, list):
                # A list of plain values holds no key: the merges of a tokenizer are half a million of them.
                count += len(child)


def _inspect_key(key: str, found: Any, where: str, findings: Findings) -> None:
    # A vocabulary may hold such a word as a token; its value is a number there.
    if key in _REMOTE_CODE and found and isinstance(found, str | list | dict):
        text = f"{key} {_REMOTE_CODE[key]}: {quoted(found)}."
        findings.add("config.remote-code", "warning", text, where)
    elif key in _SWITCHES and found is True:
        findings.add("config.remote-code", "warning", f"{key} is switched on.", where)


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


def _inspect_pipeline(value: dict[str, Any], findings: Findings) -> None:
    """Inspect diffusers' model_index.json: each component is `[package, class]`."""
    if isinstance(value.get("_class_name"), list):
        text = f"_class_name names a pipeline in the model's own code: {quoted(value['_class_name'])}."
        findings.add("config.remote-code", "warning", text, "_class_name")
    for key, found in value.items():
        names = [name for name in found if isinstance(name, str)] if isinstance(found, list) and len(found) == 2 else []
        if len(names) == 2 and not key.startswith("_") and not _OWN_PACKAGES.match(names[0]):
            text = f"Its component {quoted(key)} is a class of {quoted(names[0])}."
            findings.add("config.remote-code", "warning", text, key[:100])


def _inspect_modules(value: list[Any], findings: Findings) -> None:
    """Inspect sentence-transformers' modules.json: each module's type is imported."""
    for entry in value:
        if isinstance(entry, dict) and {"idx", "type", "path"} <= entry.keys():
            kind, path = entry["type"], entry["path"]
            if not isinstance(kind, str) or not _OWN_PACKAGES.match(kind):
                text = f"modules.json imports {quoted(kind)}, which is no module of sentence-transformers."
                findings.add("config.remote-code", "warning", text, f"{entry['idx']}"[:20])
            if not isinstance(path, str) or (path and _why_unsafe(path.rstrip("/"))):
                text = f"modules.json names the folder {quoted(path)}, which is not safe."
                findings.add("index.unsafe-path", "error", text, f"{entry['idx']}"[:20])
