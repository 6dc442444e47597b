"""What a file is: by its first bytes, and by its name only where content cannot tell.

A name is a claim of the publisher's; magic bytes win. Not here: whether the file is valid (scanners) or what it says
(headers).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

#: Bytes of a file's head that `detect` needs.
HEAD_SIZE = 4096

_MAGIC = (
    (b"GGUF", "gguf"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x7fELF", "executable"),
    (b"MZ", "executable"),
    (b"\xcf\xfa\xed\xfe", "executable"),
    (b"\xca\xfe\xba\xbe", "executable"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"%PDF-", "pdf"),
    (b"PAR1", "parquet"),
)
#: By suffix, for formats whose content has no mark of its own. Binary claims are checked by the formats scanner.
_SUFFIXES = {
    ".safetensors": "safetensors",
    ".gguf": "gguf",
    ".onnx": "onnx",
    ".onnx_data": "onnx-data",
    ".data": "onnx-data",
    ".json": "json",
    ".jsonl": "text",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".md": "markdown",
    ".txt": "text",
    ".rst": "text",
    ".py": "python",
    ".pyc": "python-bytecode",
    ".jinja": "jinja",
    ".jinja2": "jinja",
    ".model": "sentencepiece",
    ".spm": "sentencepiece",
    ".tiktoken": "text",
    ".tflite": "tflite",
    ".bin": "pickle",
    ".pt": "pickle",
    ".pth": "pickle",
    ".ckpt": "pickle",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
    ".sh": "script",
    ".wav": "audio",
    ".csv": "text",
    ".tsv": "text",
}
_TEXT_NAMES = re.compile(
    r"^(licen[cs]e|notice|copying|readme|use_policy|merges|vocab|\.gitattributes|metadata|wheel|record)", re.I
)
#: Formats that run code when the usual tools load them.
EXECUTABLE_FORMATS = frozenset({"pickle", "python", "python-bytecode", "script", "executable"})


def detect(name: str, head: bytes, size: int) -> str:
    """Return a format's name for a file's path, its first `HEAD_SIZE` bytes and its whole size in bytes.

    `unknown` when neither content nor name tells; `empty` for no bytes at all.
    """
    if size == 0:
        return "empty"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if len(head) > 262 and head[257:262] == b"ustar":
        return "tar"
    if len(head) > 8 and head[4:8] == b"TFL3":
        return "tflite"
    if _looks_like_safetensors(head, size):
        return "safetensors"
    if _looks_like_pickle(head):
        return "pickle"
    return _by_name(name, head)


def detect_file(name: str, path: Path) -> str:
    """Return the format of a file on this machine that the model calls `name`."""
    with open(path, "rb") as file:
        return detect(name, file.read(HEAD_SIZE), path.stat().st_size)


def _by_name(name: str, head: bytes) -> str:
    last = name.rsplit("/", 1)[-1].lower()
    kind = _SUFFIXES.get(Path(last).suffix)
    text = b"\0" not in head and _is_utf8(head)
    if kind in ("json", "yaml", "toml", "markdown", "text", "python", "jinja", "script") and not text:
        return "unknown"
    if kind:
        return kind
    if not text:
        return "unknown"
    if head.startswith(b"#!"):
        return "script"
    if _TEXT_NAMES.match(last):
        return "text"
    return "unknown" if Path(last).suffix else "text"


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) >= HEAD_SIZE
    return True


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 9:
        return False
    length = int.from_bytes(head[:8], "little")
    return (
        head[8:9] == b"{"
        and 2 <= length <= min(size - 8, 100_000_000)
        and (length > len(head) - 8 or _is_json(head[8 : 8 + length]))
    )


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _looks_like_pickle(head: bytes) -> bool:
    # Protocol 2 to 5 begins with PROTO; older ones are found by name and by the pickle scanner's own parse.
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5
