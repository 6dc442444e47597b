import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import TWO, gguf, safetensors
from weighbridge.content.detection import HEAD_SIZE, detect
from weighbridge.domain.format_names import disagreement, may_hold_weights

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
        ("config.json", b"{}", "json"),
        ("config.json", b"\xff\xfe{\0}\0", "unknown"),
        ("LICENSE", b"text", "text"),
        ("run", b"#!/bin/sh\n", "script"),
        ("x.strange", b"text", "unknown"),
        ("a.py", b"import os", "python"),
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


def test_names_that_promise_weights() -> None:
    names = ["a.safetensors", "b/c.GGUF", "d.bin", "e.onnx", "f.npz", "g.json", "README.md", "h"]
    assert [may_hold_weights(name) for name in names] == [True] * 5 + [False] * 3


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=1, max_size=300), st.sampled_from(["x.bin", "x.pt", "x.json", "x.safetensors", "x", "x.model"])
)
def test_any_bytes_have_a_format(head: bytes, name: str) -> None:
    assert detect(name, head, len(head))
