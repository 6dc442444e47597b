"""Keras models: the configuration in an HDF5 file or a `.keras` archive, and the layers in it that run code.

A `Lambda` layer holds Python bytecode that loading runs; a configuration may also name any function of any module
(CVE-2024-3660, CVE-2025-1550). HDF5 is read by `pyfive`, in Python and in a child process. Not here: weights.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers.document import parse_json
from weighbridge.domain.report import Finding

MAX_CONFIG_SIZE = 8 * 1024 * 1024
#: Bytes of an archive's list of members.
MAX_DIRECTORY_SIZE = 16 * 1024 * 1024
_OWN_MODULES = ("keras", "tf_keras", "tensorflow.keras", "keras_hub", "keras_nlp", "keras_cv", "builtins")
_ATTRIBUTES = ("model_config", "training_config")


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


def read_hdf5(path: Path, limits: sandbox.Limits | None = None) -> KerasHeader:
    """Read the configuration in an HDF5 file; never raises because of its content."""
    reading = sandbox.read("hdf5", path, limits)
    if reading.answer is None:
        return KerasHeader(failure=reading.reason)
    texts = reading.answer["texts"]
    return _judge([text.encode() for text in texts if isinstance(text, str)])


def walk_hdf5(path: Path) -> dict[str, Any]:
    """Return the configurations that an HDF5 file's root holds; the child's work."""
    import pyfive  # type: ignore[import-untyped]

    texts = []
    with open(path, "rb") as file, pyfive.File(file) as root:
        for name in _ATTRIBUTES:
            if name in root.attrs:
                value = root.attrs[name]
                value = value.tobytes() if hasattr(value, "tobytes") else value
                texts.append(value.decode() if isinstance(value, bytes) else str(value))
    if sum(map(len, texts)) > MAX_CONFIG_SIZE:
        raise ValueError("configuration too large")
    return {"texts": texts}


def read_archive(path: Path) -> KerasHeader:
    """Read the configuration in a `.keras` archive; other archives give an empty answer."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(_Bounded(file)) as archive:
            names = set(archive.namelist())
            if not {"metadata.json", "config.json"} <= names:
                return KerasHeader()
            with archive.open("config.json") as member:
                content = member.read(MAX_CONFIG_SIZE + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression that zipfile lacks.
        return KerasHeader(failure=f"its list of members or config.json cannot be read: {quoted(str(error))}")
    if len(content) > MAX_CONFIG_SIZE:
        return KerasHeader(failure=f"its config.json has more than {MAX_CONFIG_SIZE:,} bytes")
    return _judge([content])


class _Bounded(io.RawIOBase):
    """A file of which no single read is larger than an archive's list of members may be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_DIRECTORY_SIZE:
            # What is left of a file is read whole only for its end record.
            rest = self._file.read(MAX_DIRECTORY_SIZE + 1)
            if len(rest) > MAX_DIRECTORY_SIZE:
                raise ValueError("its list of members is too large")
            return rest
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _judge(contents: list[bytes]) -> KerasHeader:
    findings = Findings()
    for content in contents:
        document = parse_json(content)
        for finding in document.findings:
            findings.add(finding.rule, finding.level, finding.message)
        stack = [document.value]
        while stack:
            found = stack.pop()
            if isinstance(found, dict):
                _inspect(found, findings)
                stack.extend(found.values())
            elif isinstance(found, list):
                stack.extend(found)
    return KerasHeader(bool(contents), findings.all, sum(map(len, contents)))


def _inspect(layer: dict[str, Any], findings: Findings) -> None:
    kind, module = layer.get("class_name"), layer.get("module")
    where = str(layer.get("name") or kind or "")[:80]
    if kind in ("Lambda", "__lambda__") or layer.get("function_type") == "lambda":
        text = "A Lambda layer holds Python bytecode, which runs when the model is loaded without safe mode."
        findings.add("keras.lambda", "error", text, where)
    if isinstance(kind, str) and isinstance(module, str) and not _is_own(module):
        text = f"It names {quoted(kind)} of {quoted(module)}, which loading imports."
        findings.add("keras.foreign-code", "error", text, where)
    registered = layer.get("registered_name")
    if isinstance(kind, str) and module is None and isinstance(registered, str) and ">" in registered:
        findings.add("keras.custom-layer", "warning", f"The layer {quoted(registered)} needs code of the publisher's.")


def _is_own(module: str) -> bool:
    return any(module == own or module.startswith(own + ".") for own in _OWN_MODULES)
