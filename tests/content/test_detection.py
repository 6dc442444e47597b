import pickle
import struct
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import TWO, gguf, safetensors
from weighbridge.content import examination, marks
from weighbridge.content.detection import HEAD_SIZE, detect
from weighbridge.domain.format_names import NAMES, PATTERNS, ROLES, SUFFIXES, disagreement, may_hold_weights

PICKLE = pickle.dumps({"a": 1}, 4)
OLD_PICKLE = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("model.safetensors", safetensors({"a": TWO}, bytes(8)), "safetensors"),
        ("weights.bin", safetensors({"a": TWO}, bytes(8)), "safetensors"),
        ("model.safetensors", safetensors(b'{"a":' + b"[" * 9000), "safetensors"),
        ("model.gguf", gguf(), "gguf"),
        ("anything", gguf(), "gguf"),
        ("model.gguf", b"GGML", "gguf"),
        ("README.md", b"GGUF files of a model, quantized", "markdown"),
        ("model.safetensors", PICKLE, "pickle"),
        ("config.json", PICKLE, "pickle"),
        ("pytorch_model.bin", OLD_PICKLE, "pickle"),
        ("pytorch_model.bin", b"(lp0\nI1\na" * 1000, "pickle"),
        ("model.pt", b"\x00\x01\x02", "pickle"),
        ("weights.bin", struct.pack("<4f", 0.1, 0.2, 0.3, 0.4), "unknown"),
        ("model.bin", b"\x06\0\0\0\x0c\0WhisperSpec\0" + bytes(50), "ctranslate2"),
        ("model.onnx", b"\x80\x02\x00\x01", "onnx"),
        ("tool.exe", b"MZ\x90\0\3", "executable"),
        ("notes.txt", b"MZ is a prefix", "text"),
        ("lib.so", b"\x7fELF\2\1\1", "executable"),
        ("x.bz2", b"BZh91AY&SY\x00\xff", "bzip2"),
        ("bzh.txt", b"BZh is a town", "text"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "lfs-pointer"),
        ("tokenizer.model", b"IQ== 0\nIg== 1\n", "text"),
        ("tokenizer.model", b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0", "sentencepiece"),
        ("tokenizer.model", b"\xff\0\xff", "unknown"),
        ("config.json", b"{}", "config"),
        ("samples.json", b"{}", "json"),
        ("config.json", "{}".encode("utf-16"), "config"),
        ("config.json", '{"a": 1}'.encode("utf-16-be"), "config"),
        ("x.yaml", "a: \u0451\n".encode("utf-16"), "yaml"),
        ("x.yaml", struct.pack("<8H", *range(40, 48)) + bytes(8), "unknown"),
        ("config.json", b"\xff\xfe{\0}\0\0\xd8\0", "unknown"),
        ("model.pmml", b"<PMML/>", "xml"),
        ("graph", b'<?xml version="1.0"?><net/>', "xml"),
        ("notes.txt", b'<?xml version="1.0"?><net/>', "xml"),
        ("chat_template", b"{{ x }}", "jinja"),
        ("qwen_chat_template.txt", b"{{ x }}", "jinja"),
        ("chat_template.json", b"{}", "config"),
        (".DS_Store", b"\x7fELF\2\1\1", "executable"),
        ("Thumbs.db", b"\x7fELF\2\1\1", "executable"),
        ("default.metallib", b"MTLB\1\x80\2\0", "executable"),
        ("LICENSE", b"text", "text"),
        ("run", b"#!/bin/sh\n", "script"),
        ("x.strange", b"text", "unknown"),
        ("a.py", b"import os", "python"),
        ("disk.iso", bytes(4096), "iso"),
        ("content", b"blob 2\0hi", "git"),
        ("demo.ipynb", b"{}", "notebook"),
        ("install", b"# set up\n\nexec python3 -c 'import os'\n", "executable"),
        ("notes.txt", b": ; exec /bin/sh -c id\n", "executable"),
        ("start", b"curl http://127.0.0.1/x | sh\n", "executable"),
        ("run", b"bash ./train.sh\n", "executable"),
        ("NOTICE", b"curl is a tool\nexec python3 -c id\n", "text"),
        ("notes", b"python is a language, node a runtime\n", "text"),
        ("notes.txt", b"Executives evaluate. exec summary\n", "text"),
        ("vocab.txt", b"exec\neval\npython\n", "text"),
        ("Thumbs.db", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), "desktop"),
        (".DS_Store", b"\0\0\0\1Bud1" + bytes(20), "desktop"),
        ("._model.safetensors", b"\0\x05\x16\x07\0\x02\0\0" + bytes(20), "desktop"),
        (".git/index", b"DIRC\0\0\0\2" + bytes(20), "git"),
        (".git/hooks/pre-push.sample", b"#!/bin/sh\n", "text"),
        ("MLmodel", b"flavors: {}\n", "mlmodel"),
        ("a/MLproject", b"name: x\n", "mlproject"),
        ("requirements.txt", b"torch\n", "requirements"),
        ("code/requirements-gpu.txt", b"torch\n", "requirements"),
        ("requirements/base.txt", b"torch\n", "requirements"),
        ("my_requirements_list.md", b"torch\n", "markdown"),
        ("openvino_model.xml", b"<net/>", "xml"),
        ("icon.svg", b"<svg/>", "xml"),
        ("setup.cfg", b"[a]\n", "ini"),
        ("log.jsonl", b"{}\n{}\n", "jsonl"),
        ("CITATION.cff", b"title: x\n", "yaml"),
        ("prompt.j2", b"{{ x }}", "jinja"),
        ("app.js", b"alert(1)", "source"),
        ("kernel.ptx", b".version 7.0\n", "source"),
        ("start.hta", b"<script language=VBScript></script>", "launcher"),
        ("model.onnx_data_1", b"\x00\x01", "onnx-data"),
        ("model.onnx.data", b"\x00\x01", "onnx-data"),
        ("variables/variables.data-00000-of-00001", bytes(16), "tf-checkpoint"),
        ("variables/variables.index", bytes(16), "tf-checkpoint"),
        ("model.ckpt.meta", b"\x0a\x02\x0a\x00", "tensorflow"),
        ("lid.176.bin", bytes.fromhex("ba164f2f0c000000") + bytes(60), "fasttext"),
        ("m.cbm", b"CBM1" + bytes(100), "cbm"),
        ("m.ubj", b"{L\0\0\0\0\0\0\0\x07learner{}}", "ubj"),
        ("x.dat", struct.pack("<ii", 2, 22) + b"blk.0.attn_q.weight" + bytes(40), "imatrix"),
        ("weight.bin", struct.pack("<II", 98, 2) + bytes(56) + b"\xef\xbe\xad\xde" + bytes(40), "coreml-data"),
        ("m.mlmodel", b"\x08\x08\x12\x02", "coreml"),
        ("m.rds", b"X\n" + struct.pack(">III", 3, 0x040301, 0x030500), "rds"),
        ("anything", b"ARROW1\0\0" + bytes(8), "arrow"),
        ("demo.mp4", struct.pack(">I", 24) + b"ftypisom" + bytes(16), "video"),
        ("demo.webm", b"\x1a\x45\xdf\xa3" + bytes(16), "video"),
        ("speech.mp3", b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64" + bytes(413), "audio"),
        ("speech.mp3", b"\xff\xfb\x90\x64" + bytes(100), "audio"),
        ("speech.mp3", b"\x00\xfb\x90\x64" + bytes(100), "unknown"),
        ("noise.bin", b"\xff\xfb\x90\x64" + b"\1" * 500, "unknown"),
        ("a.ttf", b"\0\1\0\0\0\x0a\0\x80" + bytes(60), "font"),
        ("x", safetensors(b"{}" + b" " * 254), "safetensors"),
        ("a.exe", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(20), "executable"),
        ("weights.bin", b"MZ" + b"\xf1\xe2" * 100, "unknown"),
        ("weights", b"\x1f\x8b" + b"\xf1\xe2" * 100, "unknown"),
        ("Main.class", b"\xca\xfe\xba\xbe\0\0\0\x34", "executable"),
        ("classes.dex", b"dex\n035\0", "executable"),
        ("x.deb", b"!<arch>\ndebian-binary   ", "executable"),
        ("x.rpm", b"\xed\xab\xee\xdb\3\0", "executable"),
        ("setup.msi", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), "executable"),
        ("model.llamafile", b"jartsr='\n#'\"\n", "executable"),
        ("notes.txt", bytes.fromhex("4c0000000114020000000000c000000000000046"), "launcher"),
        ("x", b"\xa7\r\r\n" + bytes(12) + b"\xe3" + bytes(60), "python-bytecode"),
        ("zipapp.pyz", b"#!/usr/bin/env python3\nPK\x03\x04\0\0", "script"),
        ("frames", b"\x50\x2a\x4d\x18\4\0\0\0abcd\x28\xb5\x2f\xfd", "zstd"),
        ("x.lz", b"LZIP\x01" + bytes(20), "lzip"),
        ("__init__.py", b"", "empty"),
    ],
)
def test_content_counts_before_the_name(name: str, content: bytes, kind: str) -> None:
    assert detect(name, content[:HEAD_SIZE], len(content)) == kind


@pytest.mark.parametrize(
    ("name", "kind", "level"),
    [
        ("model.safetensors", "pickle", "error"),
        ("model.safetensors", "zip", "error"),
        ("model.safetensors", "gguf", "warning"),
        ("model.safetensors", "safetensors", None),
        ("model.safetensors", "lfs-pointer", None),
        ("model.safetensors", "empty", "warning"),
        ("model.gguf", "executable", "error"),
        ("config.json", "pickle", "error"),
        ("config.json", "unknown", "warning"),
        ("config.json", "empty", None),
        ("._model.safetensors", "desktop", None),
        ("a/b/model.ONNX", "zip", "error"),
        ("picture.png", "executable", "error"),
        ("pytorch_model.bin", "zip", None),
        ("pytorch_model.bin", "safetensors", "warning"),
        ("pytorch_model.bin", "executable", "error"),
        ("model.keras", "hdf5", None),
        ("anything", "pickle", None),
    ],
)
def test_a_name_that_deceives(name: str, kind: str, level: str | None) -> None:
    found = disagreement(name, kind)
    assert (found.level if found else None) == level


def tar_behind(mark: bytes) -> bytes:
    """A tar whose first member's name begins with a mark."""
    info = tarfile.TarInfo("x")
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[:100] = mark.ljust(100, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


@pytest.mark.parametrize(
    "mark",
    [b"lmgg", b"\x89PNG\r\n\x1a\n", b"\x89HDF\r\n\x1a\n", b"%PDF-1.4", b"\xff\xd8\xff\xe0", b"PK\3\4", b"GGUF\3\0\0"],
)
def test_a_tar_is_one_whatever_its_first_name_begins_with(mark: bytes) -> None:
    assert detect("x.bin", tar_behind(mark), 1536) == "tar"


def test_every_format_has_a_role_and_a_check() -> None:
    kinds = {*SUFFIXES.values(), *NAMES.values(), *(kind for _, kind in PATTERNS), *marks.kinds()}
    assert kinds <= ROLES.keys()
    assert ROLES.keys() == examination.CHECKS.keys()


def test_names_that_promise_weights() -> None:
    names = ["a.safetensors", "b/c.GGUF", "d.bin", "e.onnx", "f.npz", "g.json", "README.md", "h"]
    assert [may_hold_weights(name) for name in names] == [True] * 5 + [False] * 3


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=1, max_size=300), st.sampled_from(["x.bin", "x.pt", "x.json", "x.safetensors", "x", "x.model"])
)
def test_any_bytes_have_a_format(head: bytes, name: str) -> None:
    assert detect(name, head, len(head))
