"""TFLite models: which operators are not built in, read from the table of operator codes.

A custom operator needs a library; one whose name begins with `Flex` is an operator of TensorFlow's, files and all.
FlatBuffers are read by hand, with every offset checked against the file. Schema: tensorflow/compiler/mlir/lite/schema.
Not here: what TensorFlow's operators do (tensorflow_operators), tensors.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers.tensorflow_operators import OPERATORS
from weighbridge.domain.report import Finding

#: Operator codes of one model; the largest known have a hundredth of it.
MAX_CODES = 10_000
_FLEX = "Flex"
#: Fields of a Model and of an OperatorCode.
_OPERATOR_CODES, _CUSTOM_CODE = 1, 1
#: Custom operators that come with TFLite's or MediaPipe's own runtimes.
_KNOWN = frozenset(
    {"TFLite_Detection_PostProcess", "Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D"}
    | {"Landmarks2TransformMatrix", "TransformLandmarks", "TransformTensorBilinear", "AudioSpectrogram", "Mfcc"}
    | {"AudioMicrofrontend", "NumericVerify", "edgetpu-custom-op", "Normalize", "Extract_Features", "Predict"}
)


@dataclass(frozen=True)
class TfliteHeader:
    """What a model's operators need.

    Attributes:
        bytes_read: of the table of operators.
        findings: `tflite.*`.
        failure: why it could not be read, or empty.
    """

    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


class _Broken(ValueError):
    """An offset leads out of the file, or a table is too large."""


def read(path: Path) -> TfliteHeader:
    """Read a model's operator codes."""
    findings = Findings()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            names = list(_custom_codes(_Buffer(content)))
        except _Broken as error:
            return TfliteHeader(failure=f"its operators cannot be read: {error}")
    for name in names:
        _inspect(name, findings)
    return TfliteHeader(sum(map(len, names)) + 8, findings.all)


def _inspect(name: str, findings: Findings) -> None:
    operator = OPERATORS.get(name.removeprefix(_FLEX)) if name.startswith(_FLEX) else None
    if operator and operator.kind != "place":
        text = f"Its operator {quoted(name)} is one of TensorFlow's, which {operator.what}."
        findings.add("tflite.operator", "error", text)
    elif name.startswith(_FLEX) or name in _KNOWN:
        text = f"Its operator {quoted(name)} is not built into TFLite; it comes with TensorFlow or MediaPipe."
        findings.add("tflite.custom-operator", "note", text)
    else:
        text = f"Its operator {quoted(name)} needs a library of the publisher's to run."
        findings.add("tflite.custom-operator", "warning", text)


def _custom_codes(buffer: _Buffer) -> Iterator[str]:
    codes = buffer.field(buffer.offset(0), _OPERATOR_CODES)
    if codes is None:
        raise _Broken("it has no table of them")
    vector = buffer.offset(codes)
    count = buffer.number(vector)
    if count > MAX_CODES:
        raise _Broken(f"it declares {count:,} of them")
    for index in range(count):
        custom = buffer.field(buffer.offset(vector + 4 + 4 * index), _CUSTOM_CODE)
        if custom is not None and (name := buffer.text(buffer.offset(custom))):
            yield name


class _Buffer:
    """A FlatBuffer: tables of fields at offsets that are relative to where they are written."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content

    def _unpack(self, kind: str, at: int) -> int:
        width = struct.calcsize("<" + kind)
        if not 0 <= at <= len(self._content) - width:
            raise _Broken("an offset leads out of the file")
        value: int = struct.unpack_from("<" + kind, self._content, at)[0]
        return value

    def number(self, at: int) -> int:
        return self._unpack("I", at)

    def offset(self, at: int) -> int:
        """Return where the offset at a place leads."""
        return at + self._unpack("I", at)

    def field(self, table: int, number: int) -> int | None:
        """Return where a field of a table is, or None when it has its default."""
        fields = table - self._unpack("i", table)
        at = 4 + 2 * number
        if at + 2 > self._unpack("H", fields):
            return None
        relative = self._unpack("H", fields + at)
        return table + relative if relative else None

    def text(self, at: int) -> str:
        length = self.number(at)
        if length > min(len(self._content) - at - 4, 4096):
            raise _Broken("a name is too long")
        return self._content[at + 4 : at + 4 + length].decode(errors="backslashreplace")
