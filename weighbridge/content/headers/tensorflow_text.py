"""TensorFlow's graphs in protocol buffers' text format (`saved_model.pbtxt`, `graph.pbtxt`).

A text has no place for a graph's inputs to be followed: an operator that opens files is judged beside every constant
text of the file. Not here: binary graphs (tensorflow).
"""

from __future__ import annotations

import codecs
import re

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers.outside import leaves_model
from weighbridge.content.headers.tensorflow_operators import OPERATORS, WITHIN
from weighbridge.domain.report import Finding

_GAP = r"(?:\s|#[^\n]*\n)*"
_PIECE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
#: A field with a text, which may be written in several pieces.
_FIELD = re.compile(rf"\b(op|string_val|s)\b{_GAP}:{_GAP}((?:{_PIECE}{_GAP})+)", re.DOTALL)
_ONE_PIECE = re.compile(_PIECE, re.DOTALL)


def is_text(content: memoryview) -> bool:
    """Return whether bytes are a text; this holds for a few binary graphs too."""
    if b"\0" in bytes(content[:4096]):
        return False
    try:
        text = bytes(content).decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text


def inspect(content: memoryview) -> tuple[Finding, ...]:
    """Return the findings about a graph in text format; other texts have none."""
    findings = Findings()
    operators: set[str] = set()
    outside = ""
    for name, written in _FIELD.findall(bytes(content).decode()):
        value = "".join(_unescaped(piece) for piece in _ONE_PIECE.findall(written))
        if name == "op":
            operators.add(value)
        elif not outside and len(value) > 3 and leaves_model(value) and not value.startswith(WITHIN):
            outside = value
    for operator in sorted(operators & OPERATORS.keys()):
        found = OPERATORS[operator]
        says = f"Its operator {operator} {found.what}"
        if found.kind == "always":
            findings.add("tensorflow.operator", "error", f"{says}.")
        elif outside:
            text = f"{says}, and it holds {quoted(outside)}, which is outside of the model."
            findings.add("tensorflow.reads-file", "error", text)
        elif found.kind == "reader":
            findings.add("tensorflow.operator", "warning", f"{says}; which ones, whoever runs it decides.")
    return findings.all


def _unescaped(piece: str) -> str:
    try:
        return codecs.decode(piece[1:-1], "unicode_escape")
    except UnicodeDecodeError:
        return piece[1:-1]
