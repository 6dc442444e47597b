"""ONNX's operators by domain: which are of the standard or of a known library, and which run or open something.

Not here: how a model is read (onnx).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers.outside import leaves_model

#: Operators of the standard and of ONNX Runtime; others need a library.
_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"})
_RUNTIME = frozenset(
    {"com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc", "com.microsoft.dml"}
)
#: Libraries that many models name: ONNX Runtime's extensions, PyTorch's and OpenVINO's own operators.
_KNOWN = frozenset(
    {"ai.onnx.contrib", "com.microsoft.extensions", "org.pytorch.aten", "org.openvinotoolkit", "ai.graphcore"}
)
#: Operators that run code or reach out, by name, in whatever domain but a function of the model's own.
_HARMFUL = {
    **dict.fromkeys(("PythonOp", "PythonOpGrad", "PyOp", "PyCustomOp"), "calls a function of Python's"),
    **dict.fromkeys(("AzureAudioToText", "AzureTextToText", "AzureTritonInvoker"), "calls another machine"),
    **dict.fromkeys(("OpenAIAudioToText", "OpenAIEmbeddings"), "calls another machine"),
}


@dataclass(frozen=True)
class Use:
    """One operator of a graph.

    Attributes:
        domain: empty for the standard's.
        name: the operator's.
        texts: its attributes that are texts.
        numbers: its attributes that are whole numbers.
    """

    domain: str
    name: str
    texts: Mapping[str, str]
    numbers: Mapping[str, int]


def inspect(use: Use, own: bool, findings: Findings) -> None:
    """Find what running an operator leads to; `own` says whether it is a function that the model brings."""
    if own or use.domain in _STANDARD:
        return
    if what := _HARMFUL.get(use.name):
        text = f"Its operator {quoted(use.name)} of {quoted(use.domain)} {what}."
        findings.add("onnx.harmful-operator", "error", text)
    elif use.name == "EPContext":
        _inspect_context(use, findings)
    elif use.domain in _RUNTIME:
        findings.add("onnx.runtime-ops", "note", f"Its operators of {use.domain} are those of ONNX Runtime.")
    elif use.domain in _KNOWN:
        findings.add("onnx.runtime-ops", "note", f"Its operators of {use.domain} are those of a known library.")
    else:
        text = f"Its operators of {quoted(use.domain)} need a library of the publisher's to run."
        findings.add("onnx.custom-ops", "warning", text)


def _inspect_context(use: Use, findings: Findings) -> None:
    """Yield the findings about the place of a compiled part: the attribute itself, or a file that it names."""
    place = use.texts.get("ep_cache_context", "")
    if use.numbers.get("embed_mode", 1) != 1 and leaves_model(place):
        text = f"A part of it is compiled code in {quoted(place)}, which is outside of the model."
        findings.add("onnx.external-path", "error", text)
    else:
        text = "A part of it is compiled code for one kind of processor, which nobody can read."
        findings.add("onnx.compiled", "warning", text)


def texts_of(attributes: Any) -> dict[str, str]:
    """Return a node's attributes that are texts."""
    return {
        _text(attribute.name): attribute.s[:4096].decode(errors="backslashreplace")
        for attribute in attributes
        if attribute.HasField("s")
    }


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")
