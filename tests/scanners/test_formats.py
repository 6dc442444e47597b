import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import TWO, external, gguf, llama, onnx_model, pair, rules, safetensors, tensor
from weighbridge.content import sandbox
from weighbridge.content.detection import detect_file
from weighbridge.content.headers import document
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import ScanReport
from weighbridge.scanners.formats import FormatsScanner
from weighbridge.scanners.interface import Scanner, Subject

GGUF = gguf(llama(), [tensor("token_embd.weight", (64, 300), 0, 0)], bytes(64 * 300 * 4))
Scan = Callable[[str, bytes], ScanReport]


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    def run(name: str, content: bytes) -> ScanReport:
        path = tmp_path / "blob"
        path.write_bytes(content)
        subject = Subject(Digest.sha256(content), path, len(content), name, detect_file(name, path))
        scanner: Scanner = FormatsScanner()
        assert scanner.accepts(subject)
        found = scanner.scan(subject)
        assert 0 <= found.bytes_covered <= len(content)
        assert found.key == (str(subject.digest), "formats", *_engine(scanner), subject.format)
        return found

    return run


def _engine(scanner: Scanner) -> tuple[str, str]:
    engine = scanner.engine()
    return engine.version, engine.rules


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", safetensors({"a": TWO}, bytes(8))),
        ("model.gguf", GGUF),
        ("model.onnx", onnx_model([]).SerializeToString()),
        ("config.json", b'{"model_type": "llama"}'),
        ("x.yaml", b"a: 1"),
        ("x.toml", b"a = 1"),
        ("chat_template.jinja", b"{{ messages }}"),
        ("README.md", b"---\nlicense: mit\n---\n"),
        ("vocab.txt", b"a\nb\n"),
        ("__init__.py", b""),
        ("pytorch_model.bin", pickle.dumps({})),
    ],
)
def test_valid_files_give_complete_reports_without_findings(scan: Scan, name: str, content: bytes) -> None:
    found = scan(name, content)
    assert (found.status, found.reason, found.findings) == ("completed", "", ())


def test_only_the_bytes_that_were_read_count_as_covered(scan: Scan) -> None:
    data = bytes(400_000)
    big = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    assert scan("model.safetensors", safetensors({"a": big}, data)).bytes_covered < 200
    assert scan("model.gguf", GGUF).bytes_covered < len(GGUF) - 64 * 300 * 4 + 32
    assert scan("config.json", b'{"a": 1}').bytes_covered == 8


@pytest.mark.parametrize(
    ("name", "content", "rule", "level"),
    [
        ("model.safetensors", safetensors({"a": TWO}, bytes(7)), "safetensors.offsets", "error"),
        ("model.safetensors", b"nothing at all", "safetensors.header-length", "error"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "format.lfs-pointer", "error"),
        ("model.gguf", GGUF[:-1], "gguf.offset", "error"),
        ("model.gguf", b"GGUF", "gguf.truncated", "error"),
        ("model.gguf", gguf([pair("tokenizer.chat_template", "{{ x.__class__ }}")]), "template.internals", "error"),
        ("model.onnx", onnx_model([external("../../etc/passwd")]).SerializeToString(), "onnx.external-path", "error"),
        ("model.onnx", b"nothing", "onnx.invalid", "error"),
        ("config.json", b'{"auto_map": {"AutoModel": "m.M"}}', "config.remote-code", "error"),
        ("config.json", b'{"a": 1, "a": 2}', "config.duplicate-key", "error"),
        ("config.json", b"[" * 50_000, "config.invalid", "error"),
        ("m.safetensors.index.json", b'{"weight_map": {"a": "../b"}}', "index.unsafe-path", "error"),
        ("tokenizer_config.json", b'{"chat_template": "{% include \'x\' %}"}', "template.include", "error"),
        ("chat_template.jinja", b"{{ ''.__class__ }}", "template.internals", "error"),
        ("conf.yaml", b"a: !!python/name:os.system", "config.unsafe-tag", "error"),
        ("conf.yaml", b"_target_: os.system", "config.dangerous-target", "error"),
        ("README.md", b"---\na: [\n---\n", "readme.front-matter", "warning"),
        ("modeling.py", b"import os", "code.python", "warning"),
        ("x.pyc", b"\xa7\x0d\x0d\x0a\0\0\0\0", "code.bytecode", "error"),
        ("run.sh", b"#!/bin/sh", "code.script", "warning"),
        ("lib.so", b"\x7fELF\2\1\1", "code.executable", "error"),
        ("saved_model.pb", b"\x0a\x0e\x0a\x01x\x12\x09WriteFile", "tensorflow.operator", "error"),
        ("paper.pdf", b"%PDF-1.7", "format.unchecked", "note"),
        ("what.ever", b"\0\1\2", "format.unknown", "warning"),
    ],
)
def test_each_defect_is_a_finding_of_a_complete_report(
    scan: Scan, name: str, content: bytes, rule: str, level: str
) -> None:
    found = scan(name, content)
    assert found.status == "completed"
    assert (rule, level) in [(finding.rule, finding.level) for finding in found.findings]


def test_a_keras_archive_with_a_lambda_layer(scan: Scan, tmp_path: Path) -> None:
    path = tmp_path / "k"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps({"class_name": "Lambda"}))
    assert rules(scan("model.keras", path.read_bytes()).findings) == ["keras.lambda"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
        ("model.keras", b"PK\3\4" + bytes(100)),
        ("saved_model.pb", b"\x0a\xff"),
        ("model.ckpt-1.meta", b"\x0a\x80\x80"),
    ],
)
def test_what_could_not_be_read_is_a_failed_report(scan: Scan, name: str, content: bytes) -> None:
    found = scan(name, content)
    assert found.status == "failed"
    assert found.reason
    assert (found.bytes_covered, found.reusable) == (0, False)


@pytest.mark.parametrize(("name", "content"), [("m.gguf", GGUF), ("m.onnx", onnx_model([]).SerializeToString())])
def test_a_reader_that_runs_out_of_time_is_a_failed_report(
    scan: Scan, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    usual = sandbox.ReadingLimits.__init__.__defaults__ or ()
    monkeypatch.setattr(sandbox.ReadingLimits.__init__, "__defaults__", (0.001, *usual[1:]))
    found = scan(name, content)
    assert (found.status, found.reason) == ("failed", "reading its header took longer than 0.001 s")


def test_a_large_configuration_is_read_in_a_child(scan: Scan) -> None:
    vocabulary = {f"token {number}": number for number in range(200_000)}
    content = json.dumps({"vocab": vocabulary, "auto_map": {"a": "b.C"}, "chat_template": "{% include 'x' %}"}).encode()
    assert len(content) > 4 * 1024 * 1024
    found = scan("tokenizer.json", content)
    assert rules(found.findings) == ["config.remote-code", "template.include"]
    assert found.bytes_covered == len(content)


def test_a_document_too_large_to_be_read_is_a_failed_report(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document.read_json, "__defaults__", (10,))
    assert scan("config.json", b'{"a": "bcdefghijkl"}').status == "failed"


def test_a_blob_that_went_away_is_a_failed_report(tmp_path: Path) -> None:
    digest: Any = Digest.sha256(b"x")
    found = FormatsScanner().scan(Subject(digest, tmp_path / "gone", 1, "config.json", "json"))
    assert found.status == "failed"
