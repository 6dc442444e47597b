"""Examination: what a reader of one format finds in a file, be it a file of the model or a member of an archive.

One table of checks serves both, so that no format is known at the top and unknown inside an archive. Headers and
configurations are read whole, weights never. Not here: what a file is (content.detection), opcodes of pickles
(content.pickles), how archives are walked (content.archives), what findings lead to (domain.gate).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from weighbridge.content import detection, sandbox, text_encoding
from weighbridge.content.findings import Findings
from weighbridge.content.headers import (
    arrow,
    config,
    document,
    gguf,
    hdf5,
    keras,
    msgpack,
    onnx,
    rds,
    readme,
    requirements_text,
    safetensors,
    tensorflow,
    tflite,
    torch_program,
    xml_text,
)
from weighbridge.content.second_readings import Excerpts, second_readings
from weighbridge.content.templates import inspection
from weighbridge.domain.format_names import ARCHIVE_FORMATS
from weighbridge.domain.report import Finding, Status

#: Larger JSON is read in a child process: a tokenizer of 33 MB takes ten times that in memory.
_SMALL_JSON = 4 * 1024 * 1024


@dataclass(frozen=True)
class Item:
    """A file to examine.

    Attributes:
        name: its path in the model; of a member, its path in the innermost archive.
        path: where its bytes are on this machine.
        size: bytes.
        format: what it is (`content.detection`).
    """

    name: str
    path: Path
    size: int
    format: str


@dataclass(frozen=True)
class Check:
    """What one format's check gave.

    Attributes:
        findings: what it found.
        covered: bytes read.
        status: `completed`, or why not with `reason`.
        reason: empty when completed.
    """

    findings: tuple[Finding, ...] = ()
    covered: int = detection.HEAD_SIZE
    status: Status = "completed"
    reason: str = ""


class Structure(Protocol):
    """What a reader of a format's structure returns."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What it found."""

    @property
    def bytes_read(self) -> int:
        """Bytes that it read of the file."""

    @property
    def failure(self) -> str:
        """Why the structure could not be read to its end, or empty."""


def examine(item: Item, excerpts: Excerpts | None = None) -> Check:
    """Check one file as the format that it was detected to be, and whether it is another one to some reader.

    Bad content is a finding.

    Args:
        item: the file.
        excerpts: of its whole content, where the file holds no more than its check reads.
    """
    try:
        check = CHECKS[item.format](item)
        if excerpts is None:
            others = second_readings(item.path, item.format, item.size)
        else:
            others = excerpts.second_readings(item.format)
    except OSError as error:
        return Check(covered=0, status="failed", reason=f"cannot be read: {error.strerror}")
    if others:
        text = f"Its format is {item.format}, and to other readers it is {' and '.join(others)}."
        check = replace(check, findings=(*check.findings, Finding("format.second-reading", "error", text)))
    return check


def reads(kind: str) -> bool:
    """Return whether the check of a format opens the file."""
    return not isinstance(CHECKS[kind], _Said)


def _safetensors(item: Item) -> Check:
    header = safetensors.read(item.path)
    if header.failure:
        return Check(covered=0, status="failed", reason=header.failure)
    findings = Findings()
    findings.extend(header.findings)
    findings.extend(config.inspect_metadata(header.metadata, "__metadata__"))
    return Check(findings.all, header.header_size)


def _gguf(item: Item) -> Check:
    header = gguf.read(item.path)
    if header.failure:
        return Check(covered=0, status="failed", reason=header.failure)
    findings = Findings()
    findings.extend(header.findings)
    findings.extend(config.inspect_metadata(header.metadata))
    return Check(findings.all, header.header_size)


def _structure(read: Callable[[Path], Structure]) -> Callable[[Item], Check]:
    def check(item: Item) -> Check:
        found = read(item.path)
        if found.failure:
            return Check(found.findings, covered=0, status="failed", reason=found.failure)
        return Check(found.findings, min(found.bytes_read, item.size))

    return check


def _structures(*readers: Callable[[Path], Structure]) -> Callable[[Item], Check]:
    """Return a check by several readers, for a container that more than one format uses."""

    def check(item: Item) -> Check:
        checks = [_structure(read)(item) for read in readers]
        findings = Findings()
        for found in checks:
            findings.extend(found.findings)
        unread = next((found for found in checks if found.status != "completed"), None)
        if unread:
            return Check(findings.all, covered=0, status=unread.status, reason=unread.reason)
        return Check(findings.all, max(found.covered for found in checks))

    return check


def _config(item: Item) -> Check:
    return _parse_config(item) if item.size <= _SMALL_JSON else _json_in_child(item, "config")


def _json(item: Item) -> Check:
    if item.size > document.MAX_JSON_SIZE:
        text = f"{item.size:,} bytes are too many for a configuration, so nothing in it was checked."
        return Check((Finding("config.limit", "warning", text),))
    return _parse_json(item) if item.size <= _SMALL_JSON else _json_in_child(item, "json")


def _notebook(item: Item) -> Check:
    check = _json(item)
    with open(item.path, "rb") as file:
        content = file.read(document.MAX_JSON_SIZE)
    if not re.search(rb'"cell_type"\s*:\s*"code"', content):
        return check
    text = "It is a notebook with code of the publisher's, for a person to read."
    return replace(check, findings=(*check.findings, Finding("code.source", "warning", text)))


def _json_in_child(item: Item, reader: str) -> Check:
    reading = sandbox.read(reader, item.path)
    if reading.answer is None:
        return Check(covered=0, status="failed", reason=reading.reason)
    if reading.answer["too_large"]:
        return Check(covered=0, status="failed", reason=f"{item.size:,} bytes are too many to be read as one")
    return Check(tuple(Finding(**finding) for finding in reading.answer["findings"]), item.size)


def _document(read: Callable[[Path], document.Document]) -> Callable[[Item], Check]:
    def check(item: Item) -> Check:
        found = read(item.path)
        if found.too_large:
            return Check(covered=0, status="failed", reason=f"{item.size:,} bytes are too many to be read as one")
        return Check(config.inspect_document(found), item.size)

    return check


_parse_config = _document(document.read_json)
_parse_json = _document(partial(document.read_json, opened=False))


def _xml(item: Item) -> Check:
    return Check(xml_text.read(item.path), item.size)


def _requirements(item: Item) -> Check:
    return Check(requirements_text.read(item.path), item.size)


def _text(item: Item) -> Check:
    """Check a text of no format: as requirements, which may include it, and as a configuration that nobody opens."""
    findings = Findings()
    findings.extend(requirements_text.read_unnamed(item.path))
    if item.size <= document.MAX_TEXT_SIZE:
        found = config.inspect_unnamed(item.path)
        findings.extend(replace(finding, level="warning") if finding.level == "error" else finding for finding in found)
    return Check(findings.all)


def _jinja(item: Item) -> Check:
    with open(item.path, "rb") as file:
        content = file.read(4 * inspection.MAX_TEMPLATE_LENGTH + 1)
    # Go's templates have the suffix .tmpl too, and brackets of the same kind.
    sure = not item.name.lower().endswith(".tmpl")
    template = inspection.Template(text_encoding.decode(content, "replace"), "chat_template", sure=sure)
    return Check(inspection.inspect(template), len(content))


def _markdown(item: Item) -> Check:
    return Check(readme.read(item.path).findings, readme.READ_SIZE)


@dataclass(frozen=True)
class _Said:
    """A check that needs no byte of the file: what is to say of every file of a format."""

    check: Check

    def __call__(self, item: Item) -> Check:
        return self.check


def _finds(rule: str, level: str, message: str) -> Callable[[Item], Check]:
    return _Said(Check((Finding(rule, level, message),)))  # type: ignore[arg-type]


_recognised = _Said(Check())
_NOTED = _finds(
    "format.unchecked", "note", "It was recognised by its first bytes or its name; nothing in it was checked here."
)
#: The check for each format of `weighbridge.content.detection`.
CHECKS: dict[str, Callable[[Item], Check]] = {
    "safetensors": _safetensors,
    "gguf": _gguf,
    "onnx": _structure(onnx.read),
    "parquet": _structure(arrow.read_parquet),
    "arrow": _structure(arrow.read_arrow),
    "msgpack": _structure(msgpack.read),
    "tflite": _structure(tflite.read),
    "rds": _structure(rds.read),
    "tensorflow": _structure(tensorflow.read),
    "json": _json,
    "config": _config,
    "ini": _document(document.read_ini),
    "xml": _xml,
    "requirements": _requirements,
    "text": _text,
    **dict.fromkeys(("yaml", "mlmodel", "mlproject"), _document(document.read_yaml)),
    "toml": _document(document.read_toml),
    "notebook": _notebook,
    "jinja": _jinja,
    "markdown": _markdown,
    "hdf5": _structure(hdf5.read),
    "zip": _structures(keras.read_archive, torch_program.read),
    "unknown": _finds(
        "format.unknown",
        "warning",
        "Neither its content nor its name tells what it is, so nothing in it was checked.",
    ),
    "python": _finds("code.python", "warning", "It is Python code of the publisher's, for a person to read."),
    "source": _finds("code.source", "warning", "It is source code of the publisher's, for a person to read."),
    "script": _finds("code.script", "warning", "It is a script of the publisher's, for a person to read."),
    "launcher": _finds("code.executable", "error", "A desktop runs what it says as soon as somebody opens it."),
    "python-bytecode": _finds("code.bytecode", "error", "It is compiled Python code, which nobody can read."),
    "executable": _finds("code.executable", "error", "It is a program, a library or an installer for a machine."),
    "lfs-pointer": _finds("format.lfs-pointer", "error", "It is a pointer of Git LFS to the file, not the file."),
    "tensorrt": _finds("format.unchecked", "warning", "A TensorRT engine holds compiled code; it is unread."),
    **dict.fromkeys(("pdf", "postscript", "image", "audio", "video", "font", "sqlite"), _NOTED),
    **dict.fromkeys(("tfevents", "tfrecord", "coreml", "coreml-data", "tf-checkpoint"), _NOTED),
    **dict.fromkeys(("ggml", "ctranslate2", "cbm", "ubj", "fasttext", "imatrix"), _NOTED),
    **dict.fromkeys(("jsonl", "sentencepiece"), _recognised),
    **dict.fromkeys(("onnx-data", "torch-storage", "torchscript", "empty", "desktop", "git"), _recognised),
    # The pickles and archives scanners read these.
    **dict.fromkeys(("pickle", "npy", *(ARCHIVE_FORMATS - {"zip"})), _recognised),
}
