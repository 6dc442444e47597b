"""Keras configurations: what in them runs code, loads something else or reads a file when the model is loaded.

They are in a `.keras` archive, in attributes of an HDF5 file, in JSON files and in SavedModels. A `Lambda` layer holds
Python bytecode; an entry may also name any function of any module (CVE-2024-3660, CVE-2025-1550, CVE-2025-8747). Not
here: which names are harmless (keras_names), how HDF5 is read (hdf5), and weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import keras_names as names
from weighbridge.content.headers import tensorflow_operators, zip_members
from weighbridge.content.headers.document import parse_json
from weighbridge.content.headers.outside import leaves_model
from weighbridge.domain.report import Finding

MAX_CONFIG_SIZE = 8 * 1024 * 1024
#: Keys whose text is a file or an address wherever they are.
_PLACES = ("filepath", "file_path", "vocabulary", "vocab_file", "handle", "origin", "url", "cache_dir", "extract_dir")


@dataclass(frozen=True)
class KerasHeader:
    """What a Keras file's configuration leads to.

    Attributes:
        is_keras: whether there is such a configuration at all.
        findings: `keras.*`.
        bytes_read: bytes of configuration that were read.
        failure: why the file could not be read, or empty.
    """

    is_keras: bool = False
    findings: tuple[Finding, ...] = ()
    bytes_read: int = 0
    failure: str = ""


def read_archive(path: Path) -> KerasHeader:
    """Read the configuration in a `.keras` archive; other archives give an empty answer."""
    try:
        with zip_members.opened(path) as archive:
            if not {"metadata.json", "config.json"} <= set(archive.namelist()):
                return KerasHeader()
            content = zip_members.content(archive, "config.json", MAX_CONFIG_SIZE)
    except zip_members.ERRORS as error:
        return KerasHeader(failure=f"its list of members or config.json cannot be read: {quoted(str(error))}")
    return judge([content])


def judge(contents: Iterable[bytes]) -> KerasHeader:
    """Judge the JSON texts of a model's configurations."""
    findings, size, found = Findings(), 0, False
    for content in contents:
        size, found = size + len(content), True
        document = parse_json(content)
        findings.extend(document.findings)
        findings.extend(inspect(document.value))
    return KerasHeader(found, findings.all, size)


def is_configuration(value: Any) -> bool:
    """Return whether a JSON file's value is a model's configuration in the form that `model_from_json` reads."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("modelTopology"), dict):
        return True
    marks = {"module", "registered_name", "keras_version", "backend"}
    return {"class_name", "config"} <= value.keys() and not marks.isdisjoint(value)


def inspect(value: Any) -> tuple[Finding, ...]:
    """Return the findings about a configuration, at any depth of it.

    `keras.lambda`, `keras.function`, `keras.loads`, `keras.foreign-code` (errors), `keras.reads-file` (error, or a
    warning where the file's name stays inside of the folder), `keras.custom-layer` (warning).
    """
    findings = Findings()
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            _inspect_entry(found, findings)
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)
    return findings.all


def _inspect_entry(entry: dict[str, Any], findings: Findings) -> None:
    kind, config = entry.get("class_name"), entry.get("config")
    where = str(entry.get("name") or kind or "")[:80]
    if kind in ("Lambda", "__lambda__") or entry.get("function_type") == "lambda":
        text = "A Lambda layer holds Python bytecode, which runs when the model is loaded without safe mode."
        findings.add("keras.lambda", "error", text, where)
    elif kind == "function":
        _inspect_function(entry, where, findings)
    elif kind == "__typespec__":
        _inspect_type(entry, where, findings)
    elif isinstance(kind, str) and not re.fullmatch(r"__\w+__", kind):
        _inspect_class(entry, kind, where, findings)
    if isinstance(config, dict) and isinstance(kind, str):
        _inspect_arguments(kind, config, where, findings)
    for key in _PLACES:
        _inspect_place(key, entry.get(key), where, findings)


def _inspect_class(entry: dict[str, Any], kind: str, where: str, findings: Findings) -> None:
    """Judge the class that an entry names; one without a module is looked up among Keras's own classes."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if (name := kind.rpartition(">")[2]) in names.LOADERS:
        text = f"Its layer {quoted(name)} {names.LOADERS[name]}."
        findings.add("keras.loads", "error", text, where)
    elif module is None or module == "":
        custom = next((text for text in (registered, kind) if isinstance(text, str) and ">" in text), "")
        if custom:
            text = f"The layer {quoted(custom)} needs code of the publisher's."
            findings.add("keras.custom-layer", "warning", text)
    elif not isinstance(module, str) or names.below_keras(module) is None:
        text = f"It names {quoted(kind)} of {quoted(module)}, which loading imports."
        findings.add("keras.foreign-code", "error", text, where)
    elif not names.is_built(module, kind) and not names.only_computes(module, kind):
        text = f"It names {quoted(kind)} of {quoted(module)}, which is no layer, loss or other part of a model."
        findings.add("keras.function", "error", text, where)


def _inspect_function(entry: dict[str, Any], where: str, findings: Findings) -> None:
    module = entry.get("module")
    called = [text for text in (entry.get("config"), entry.get("registered_name")) if isinstance(text, str)]
    for name in called or [""]:
        if name == "function":
            # What Keras 3.0 to 3.8 wrote as the registered name of every function.
            continue
        if module in (None, "", "builtins"):
            if names.is_builtin(name.rpartition(">")[2]):
                text = f"It names the function {quoted(name)} of {quoted(module)}, which loading may call."
                findings.add("keras.function", "error", text, where)
            elif not names.is_known_function(name):
                text = f"The function {quoted(name)} needs code of the publisher's."
                findings.add("keras.custom-layer", "warning", text, where)
        elif not isinstance(module, str) or not names.only_computes(module, name):
            text = f"It names the function {quoted(name)} of {quoted(module)}, which loading may call."
            findings.add("keras.function", "error", text, where)


def _inspect_type(entry: dict[str, Any], where: str, findings: Findings) -> None:
    """Judge a type of TensorFlow's, which Keras imports by name."""
    module, name = str(entry.get("module")), str(entry.get("spec_name"))
    if not module.startswith(("tensorflow.", "keras.")) or not name.endswith("Spec"):
        text = f"It names {quoted(name)} of {quoted(module)}, which loading imports."
        findings.add("keras.foreign-code", "error", text, where)


def _inspect_arguments(kind: str, config: dict[str, Any], where: str, findings: Findings) -> None:
    """Judge what a layer of TensorFlow's functions calls when the model is built."""
    symbol = config.get("function", config.get("method"))
    if kind in names.TENSORFLOW_CALLS and (not isinstance(symbol, str) or names.reaches_out(symbol)):
        text = f"Its layer calls {quoted(symbol)} of TensorFlow, which may read, write, load or run something."
        findings.add("keras.function", "error", text, where)
    if kind == "TensorFlowOpLayer":
        for operator in re.findall(r"\w+", str(config.get("node_def", ""))):
            if entry := tensorflow_operators.OPERATORS.get(operator):
                text = f"Its layer runs TensorFlow's {operator}, which {entry.what}."
                findings.add("keras.function", "error", text, where)
    if kind.rpartition(">")[2] in names.VOCABULARY_LAYERS:
        _inspect_place("idf_weights", config.get("idf_weights"), where, findings)


def _inspect_place(key: str, place: Any, where: str, findings: Findings) -> None:
    if not isinstance(place, str) or not place:
        return
    level: Any = "error" if leaves_model(place) else "warning"
    text = f"Loading reads {quoted(place)}, which {quoted(key)} names."
    findings.add("keras.reads-file", level, text, where)
