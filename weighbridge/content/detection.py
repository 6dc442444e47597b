"""What a file is: by its first bytes, and by its name only where content cannot tell.

A name is a claim of the publisher's; magic bytes win, and `disagreement` says where the two differ. Not here: whether
the file is valid (scanners) or what it says (content.headers).
"""

from __future__ import annotations

import io
import json
import pickletools
import re
from pathlib import Path

from weighbridge.domain.format_names import SUFFIXES

#: Bytes of a file's head that `detect` needs.
HEAD_SIZE = 4096

#: Marks that no text can begin with.
_MAGIC = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x7fELF", "executable"),
    (b"\xcf\xfa\xed\xfe", "executable"),
    (b"\xce\xfa\xed\xfe", "executable"),
    (b"\xfe\xed\xfa\xcf", "executable"),
    (b"\xfe\xed\xfa\xce", "executable"),
    (b"\xca\xfe\xba\xbe", "executable"),
    (b"\x00asm\x01", "executable"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"lmgg", "ggml"),
    (b"tjgg", "ggml"),
)
#: Marks of letters, which a text may begin with too: they count when the head is no text.
_LETTERS = (
    (b"BZh", "bzip2"),
    (b"MZ", "executable"),
    (b"GIF8", "image"),
    (b"PAR1", "parquet"),
    (b"OggS", "audio"),
    (b"fLaC", "audio"),
    (b"ID3", "audio"),
)
_TEXT_FORMATS = frozenset({"json", "yaml", "toml", "markdown", "text", "python", "jinja", "script"})
_TEXT_NAMES = re.compile(
    r"^(licen[cs]e|notice|copying|readme|use_policy|merges|vocab|\.gitattributes|metadata|wheel|record)", re.I
)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
#: CTranslate2's model.bin begins with its version and the name of its class, such as `WhisperSpec`.
_CTRANSLATE2 = re.compile(rb"^[\x01-\x20]\0\0\0[\x04-\x7f]\0[A-Za-z0-9]+Spec\0", re.DOTALL)
_OPCODES = frozenset(opcode.code.encode("latin-1")[0] for opcode in pickletools.opcodes)
#: Opcodes that only put plain values on the stack.
_PUSHES = frozenset(
    {"MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT"}
    | {"BINFLOAT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_DICT", "EMPTY_SET", "STRING", "BINSTRING", "SHORT_BINSTRING"}
    | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
    | {"BYTEARRAY8", "POP", "DUP", "FRAME"}
)


def detect(name: str, head: bytes, size: int) -> str:
    """Return a format's name for a file's path, its first `HEAD_SIZE` bytes and its whole size in bytes.

    `unknown` when neither content nor name tells; `empty` for no bytes at all.
    """
    if size == 0:
        return "empty"
    if kind := _by_magic(head):
        return kind
    if _looks_like_safetensors(head, size):
        return "safetensors"
    if _looks_like_pickle(head):
        return "pickle"
    return _by_name(name, head)


def detect_file(name: str, path: Path) -> str:
    """Return the format of a file on this machine that the model calls `name`."""
    with open(path, "rb") as file:
        return detect(name, file.read(HEAD_SIZE), path.stat().st_size)


def _by_magic(head: bytes) -> str:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"GGUF") and (len(head) < 8 or b"\0\0" in (head[4:6], head[5:7], head[6:8])):
        return "gguf"
    if head.startswith(_LFS_POINTER):
        return "lfs-pointer"
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return "tar"
    if not _is_text(head):
        for magic, kind in _LETTERS:
            if head.startswith(magic):
                return kind
        if head[:4] == b"RIFF" and head[8:12] in (b"WAVE", b"WEBP"):
            return "audio" if head[8:12] == b"WAVE" else "image"
        if head[4:8] == b"TFL3":
            return "tflite"
        if _CTRANSLATE2.match(head):
            return "ctranslate2"
    return ""


def _is_old_tar(head: bytes) -> bool:
    """Whether a header without a mark has a tar's checksum: the sum of its bytes, its own eight counted as spaces."""
    header, written = head[:512], head[148:156].strip(b" \0")
    if len(header) < 512 or not written.isdigit() or set(written) - set(b"01234567"):
        return False
    return int(written, 8) == sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _by_name(name: str, head: bytes) -> str:
    last = name.rsplit("/", 1)[-1].lower()
    kind = SUFFIXES.get(Path(last).suffix)
    text = _is_text(head)
    if kind in _TEXT_FORMATS and not text:
        return "unknown"
    if kind == "sentencepiece":
        # A serialised ModelProto begins with its first piece; Llama 3 ships a tiktoken text under the same name.
        return "text" if text else kind if head.startswith(b"\x0a") else "unknown"
    if kind == "pickle" and last.endswith(".bin") and not _may_run_as_pickle(head):
        return "unknown"
    if kind == "python-bytecode" and text:
        return "text"
    if kind:
        return kind
    if not text:
        return "unknown"
    if head.startswith(b"#!"):
        return "script"
    if _TEXT_NAMES.match(last):
        return "text"
    return "unknown" if Path(last).suffix else "text"


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) >= HEAD_SIZE
    return True


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 10:
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
    except (ValueError, RecursionError):
        return False
    return True


def _may_run_as_pickle(head: bytes) -> bool:
    """Whether unpickling could get as far as running anything; raw weights mostly fail within a few opcodes."""
    stream = io.BytesIO(head)
    try:
        for opcode, _, _ in pickletools.genops(stream):
            if opcode.name not in _PUSHES:
                return True
    except ValueError:
        # Cut off by the end of the head: what follows is not known.
        return stream.tell() >= len(head)
    return True


def _looks_like_pickle(head: bytes) -> bool:
    # Protocol 2 to 5 begins with PROTO; older ones are found by name and by the pickle scanner's own parse.
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5 and (len(head) < 3 or head[2] in _OPCODES)
