"""Golden reports: what a scanner says of samples, kept beside its VERSION; `python -m tests.scanners.golden` writes it.

A report that is known for a VERSION is never made again for the same blob. So a change of what a scanner reports needs
a new VERSION; a moved or reworded line of code does not.
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py

from tests.content.headers.samples import TWO, external, gguf, llama, onnx_model, pair, safetensors, tensor
from weighbridge.content.detection import detect_file
from weighbridge.domain.digest import Digest
from weighbridge.scanners import formats
from weighbridge.scanners.formats import FormatsScanner
from weighbridge.scanners.interface import Subject

PATH = Path(__file__).with_name("golden_reports.json")
_LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}
_KERAS = json.dumps({"module": "keras", "class_name": "Sequential", "config": {"layers": [_LAMBDA]}})


def samples() -> dict[str, bytes]:
    """Return files of every format that the scanner checks, right and wrong ones, by name."""
    return {
        "model.safetensors": safetensors({"a": TWO}, bytes(8)),
        "short.safetensors": safetensors({"a": TWO}, bytes(7)),
        "no.safetensors": b"nothing at all",
        "model.gguf": gguf(llama(), [tensor("token_embd.weight", (64, 300), 0, 0)], bytes(64 * 300 * 4)),
        "cut.gguf": b"GGUF",
        "template.gguf": gguf([pair("tokenizer.chat_template", "{{ x.__class__ }}")]),
        "model.onnx": onnx_model([]).SerializeToString(),
        "outside.onnx": onnx_model([external("../../etc/passwd")]).SerializeToString(),
        "config.json": b'{"model_type": "llama", "auto_map": {"AutoModel": "modeling.Mine"}}',
        "broken.json": b'{"a": 1, "a": }',
        "x.yaml": b"a: !!python/object/apply:os.system [id]",
        "x.toml": b"a = 1",
        "chat_template.jinja": b"{{ messages.__class__ }}",
        "README.md": b"---\nlicense: mit\n---\n",
        "vocab.txt": b"a\nb\n",
        "run.py": b"import os\n",
        "run.sh": b"#!/bin/sh\n",
        "program": b"\x7fELF" + bytes(60),
        "pointer.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1\n",
        "pytorch_model.bin": pickle.dumps({}),
        "model.keras": _keras(),
        "model.h5": _hdf5(),
        "unknown.xyz": bytes(range(256)),
    }


def _keras() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("config.json", (2020, 1, 1, 0, 0, 0)), _KERAS)
    return buffer.getvalue()


def _hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = "3.0"
        file.attrs["model_config"] = _KERAS
    return buffer.getvalue()


def reports() -> dict[str, Any]:
    """Return what the scanner reports today, with its VERSION."""
    scanner, found = FormatsScanner(), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in samples().items():
            path = Path(folder) / "blob"
            path.write_bytes(content)
            subject = Subject(Digest.sha256(content), path, len(content), name, detect_file(name, path))
            report = scanner.scan(subject)
            said = [[finding.rule, finding.level, finding.message, finding.location] for finding in report.findings]
            found[name] = {"format": subject.format, "status": report.status, "reason": report.reason, "findings": said}
    return {"formats": {"version": formats.VERSION, "reports": found}}


if __name__ == "__main__":
    PATH.write_text(json.dumps(reports(), indent=1, ensure_ascii=False) + "\n")
