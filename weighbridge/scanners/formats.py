"""The scanner `formats`: whether a file is validly what it claims to be, and what in its structure is worth knowing.

Reads headers and configurations whole, weights never: `bytes_covered` says how much that was. A report is complete when
everything that the format's check needs was read, whatever it found. Not here: signatures (scanners.clamav), opcodes of
pickles (pickles), members of archives (archives), a name that says something else than the content (domain.policy), as
reports are of bytes, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import weighbridge
from weighbridge.config.settings import Settings
from weighbridge.content import detection, sandbox
from weighbridge.content.findings import Findings
from weighbridge.content.headers import config, document, gguf, keras, onnx, readme, safetensors, templates
from weighbridge.domain.report import Finding, ScanReport, Status
from weighbridge.scanners.interface import Engine, Scanner, Subject, report

#: What this scanner reports, by version: it is raised when a golden report changes (tests/scanners/test_golden.py), and
#: every blob is then scanned again by it. The first one is the value that releases before it computed from their code.
VERSION = "1427420a78d3718b"
#: Larger JSON is read in a child process: a tokenizer of 33 MB takes ten times that in memory.
_SMALL_JSON = 4 * 1024 * 1024


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


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it needs nothing that could be missing."""
    return FormatsScanner()


class FormatsScanner:
    """Structure of every format that Weighbridge knows; see the module."""

    name: ClassVar[str] = "formats"

    def engine(self) -> Engine:
        """Return what it scans with."""
        return Engine(weighbridge.__version__, VERSION)

    def accepts(self, subject: Subject) -> bool:
        """Everything: a file of an unknown format is a finding too."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Check one blob as the format that it was detected to be."""
        check = _CHECKS.get(subject.format, _unknown)
        try:
            found = check(subject)
        except OSError as error:
            found = Check(covered=0, status="failed", reason=f"cannot be read: {error.strerror}")
        return report(
            self.name,
            self.engine(),
            subject,
            status=found.status,
            reason=found.reason,
            covered=min(found.covered, subject.size),
            findings=found.findings,
        )


def _safetensors(subject: Subject) -> Check:
    header = safetensors.read(subject.path)
    return Check(header.findings, header.header_size)


def _gguf(subject: Subject) -> Check:
    header = gguf.read(subject.path)
    if header.failure:
        return Check(covered=0, status="failed", reason=header.failure)
    findings = Findings()
    findings.extend(header.findings)
    for key, value in header.metadata.items():
        if key.startswith("tokenizer.chat_template") and isinstance(value, str):
            findings.extend(templates.inspect(templates.Template(value, key)))
    return Check(findings.all, header.header_size)


def _onnx(subject: Subject) -> Check:
    header = onnx.read(subject.path)
    if header.failure:
        return Check(covered=0, status="failed", reason=header.failure)
    return Check(header.findings, header.bytes_read)


def _json(subject: Subject) -> Check:
    if subject.size <= _SMALL_JSON:
        return _parse_json(subject)
    reading = sandbox.read("json", subject.path)
    if reading.answer is None:
        return Check(covered=0, status="failed", reason=reading.reason)
    if reading.answer["too_large"]:
        return Check(covered=0, status="failed", reason=f"{subject.size:,} bytes are too many to be read as one")
    return Check(tuple(Finding(**finding) for finding in reading.answer["findings"]), subject.size)


def _document(read: Callable[[Path], document.Document]) -> Callable[[Subject], Check]:
    def check(subject: Subject) -> Check:
        found = read(subject.path)
        if found.too_large:
            return Check(covered=0, status="failed", reason=f"{subject.size:,} bytes are too many to be read as one")
        findings = Findings()
        findings.extend(found.findings)
        findings.extend(config.inspect_config(found.value))
        return Check(findings.all, subject.size)

    return check


_parse_json = _document(document.read_json)


def _jinja(subject: Subject) -> Check:
    with open(subject.path, "rb") as file:
        content = file.read(4 * templates.MAX_TEMPLATE_LENGTH + 1)
    template = templates.Template(content.decode(errors="replace"), "chat_template")
    return Check(templates.inspect(template), len(content))


def _markdown(subject: Subject) -> Check:
    return Check(readme.read(subject.path).findings, readme.READ_SIZE)


def _hdf5(subject: Subject) -> Check:
    header = keras.read_hdf5(subject.path)
    if header.failure:
        return Check(covered=0, status="failed", reason=header.failure)
    return Check(header.findings, header.bytes_read)


def _zip(subject: Subject) -> Check:
    header = keras.read_archive(subject.path)
    if header.failure:
        return Check(covered=0, status="failed", reason=header.failure)
    return Check(header.findings, header.bytes_read)


def _unknown(subject: Subject) -> Check:
    text = "Neither its content nor its name tells what it is, so nothing in it was checked."
    return Check((Finding("format.unknown", "warning", text),))


def _recognised(subject: Subject) -> Check:
    return Check()


def _finds(rule: str, level: str, message: str) -> Callable[[Subject], Check]:
    finding = Finding(rule, level, message)  # type: ignore[arg-type]
    return lambda _: Check((finding,))


_UNREAD = "It was recognised by its first bytes; nothing in it was checked here."
#: The check for each format of `weighbridge.content.detection`; one that is missing is unknown.
_CHECKS: dict[str, Callable[[Subject], Check]] = {
    "safetensors": _safetensors,
    "gguf": _gguf,
    "onnx": _onnx,
    "json": _json,
    "yaml": _document(document.read_yaml),
    "toml": _document(document.read_toml),
    "jinja": _jinja,
    "markdown": _markdown,
    "hdf5": _hdf5,
    "zip": _zip,
    "unknown": _unknown,
    "python": _finds("code.python", "warning", "It is Python code of the publisher's, for a person to read."),
    "script": _finds("code.script", "warning", "It is a script of the publisher's, for a person to read."),
    "python-bytecode": _finds("code.bytecode", "error", "It is compiled Python code, which nobody can read."),
    "executable": _finds("code.executable", "error", "It is a program or a library for a machine."),
    "lfs-pointer": _finds("format.lfs-pointer", "error", "It is a pointer of Git LFS to the file, not the file."),
    "tensorflow": _finds("format.unchecked", "warning", "A TensorFlow graph can read and write files; it is unread."),
    **dict.fromkeys(("tflite", "pdf", "image", "audio", "parquet"), _finds("format.unchecked", "note", _UNREAD)),
    **dict.fromkeys(("ggml", "ctranslate2", "msgpack"), _finds("format.unchecked", "note", _UNREAD)),
    **dict.fromkeys(("text", "sentencepiece", "onnx-data", "empty"), _recognised),
    # The pickles and archives scanners read these.
    **dict.fromkeys(("pickle", "npy", "tar", "7z", "gzip", "bzip2", "xz", "zstd", "lz4", "rar"), _recognised),
}
