"""Detection of a file's format: by its first bytes, and by its name only where the content is ambiguous.

A name is a claim of the publisher's; magic bytes win, and `disagreement` says where the two differ. Not here: whether
the file is valid (scanners) or what it says (content.headers).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from weighbridge.content import text_encoding
from weighbridge.content.marks import HDF5_BLOCK, HDF5_MARK, OLE_MARK, is_tar, mark
from weighbridge.content.pickles.recognition import may_be_pickle
from weighbridge.domain.format_names import named_format, suffix

#: Bytes of a file's head that `detect` needs.
HEAD_SIZE = 4096

_TEXT_FORMATS = frozenset(
    {
        "json",
        "config",
        "jsonl",
        "yaml",
        "toml",
        "ini",
        "xml",
        "markdown",
        "text",
        "python",
        "source",
        "jinja",
        "script",
        "notebook",
    }
    | {"mlmodel", "mlproject", "requirements"}
)
_TEXT_NAMES = re.compile(
    r"^(licen[cs]e|notice|copying|readme|use_policy|merges|vocab|\.gitattributes|metadata|wheel|record)", re.I
)
#: Beginnings of streams that only the name distinguishes from other data.
_MAY_BE = {
    "brotli": re.compile(b""),
    "iso": re.compile(b""),
    "lzma": re.compile(rb"[\0-\xe0].{4}.{5}\0{3}\0", re.DOTALL),
    "compress": re.compile(rb"\x1f\x9d[\x80-\x90]"),
    "audio": re.compile(rb"\xff[\xe0-\xfe]"),
}
#: Empty lines and comments of a shell script, then the command that hands it to an interpreter.
_COMMENTS = rb"(?:[ \t]*(?:#[^\n]*|:)?[ \t;]*\n)*[ \t]*(?::[ \t]*;[ \t]*)?"
_INTERPRETER = rb"\S*\b(?:(?:ba|z|k|da)?sh|env|python[\d.]*|perl|ruby|node|php|pwsh|powershell)\b"
_RUNS_INTERPRETER = re.compile(_COMMENTS + rb"(?:exec|eval)[ \t]+[\"']?" + _INTERPRETER + rb"[\"']?[ \t]")
#: The same, or another command that no prose begins with; for names that promise no text.
_IS_SHELL = re.compile(
    _COMMENTS
    + rb"(?:(?:exec|eval)[ \t]|(?:curl|wget|nohup|sudo|chmod|nc)[ \t][^\n]*(?:[|;&$<>/]|[ \t]-)|"
    + _INTERPRETER
    + rb"[ \t]+(?:-[a-z]|[\w./]+\.(?:py|sh|pl|js|rb)\b))"
)
_XML = re.compile(r"\s*<\?xml\s")
_SHEBANG = re.compile(rb"#![ \t]*/")
#: Suffixes of programs whose mark may be missing or damaged.
_PROGRAMS = frozenset(
    {".exe", ".dll", ".sys", ".so", ".dylib", ".o", ".obj", ".ocx", ".drv", ".class", ".pyd", ".node"}
)
#: Formats of members by their place, where the content is ambiguous: torch's storages, and TorchScript's code.
_PLACES = (
    ("unknown", re.compile(r"[^/]+/(data|tensors|constants|xl_model_weights)/\d+"), "torch-storage"),
    ("unknown", re.compile(r"[^/]+/data/(weights|constants)/(weight|tensor)_\d+"), "torch-storage"),
    ("python", re.compile(r"[^/]+/code/__torch__(/.*)?\.py"), "torchscript"),
)


def detect(name: str, head: bytes, size: int) -> str:
    """Return a format's name for a file's path, its first `HEAD_SIZE` bytes and its whole size in bytes.

    `unknown` when neither content nor name shows it; `empty` for no bytes at all.
    """
    if size == 0:
        return "empty"
    kind = _by_content(head)
    if head.startswith(OLE_MARK) and name.rsplit("/", 1)[-1].lower() == "thumbs.db":
        # Windows keeps its pictures of a folder in a container of the kind that installers are.
        return "desktop"
    if kind:
        return kind
    if _looks_like_safetensors(head, size):
        return "safetensors"
    if may_be_pickle(head, size, named=False):
        return "pickle"
    return _by_name(name, head, size)


def detect_member(name: str, head: bytes, size: int) -> str:
    """Return the format of an archive's member; its place decides where content is ambiguous, as for torch's storages.

    Args:
        name: its path in its archive.
        head: its first `HEAD_SIZE` bytes.
        size: bytes.
    """
    kind = detect(name, head, size)
    return next((found for was, place, found in _PLACES if kind == was and place.fullmatch(name)), kind)


def detect_file(name: str, path: Path) -> str:
    """Return the format of a file on this machine that the model calls `name`."""
    with open(path, "rb") as file:
        return detect(name, file.read(HEAD_SIZE), path.stat().st_size)


def _by_content(head: bytes) -> str:
    # A tar's header begins with the name of its first member, which may be the mark of anything.
    if is_tar(head):
        return "tar"
    if kind := mark(head, text=_is_text(head)):
        return kind
    if any(head.startswith(HDF5_MARK, HDF5_BLOCK << power) for power in range(3)):
        return "hdf5"
    return "tar" if head[257:262] == b"ustar" else ""


def _by_name(name: str, head: bytes, size: int) -> str:
    last = name.rsplit("/", 1)[-1].lower()
    kind = named_format(name)
    text = _is_text(head)
    if kind in _TEXT_FORMATS and not text:
        return "unknown"
    if kind == "sentencepiece":
        # A serialised ModelProto begins with its first piece; Llama 3 ships a tiktoken text under the same name.
        return "text" if text else kind if head.startswith(b"\x0a") else "unknown"
    if kind == "pickle" and last.endswith(".bin") and not may_be_pickle(head, size, named=True):
        return "unknown"
    if kind in ("python-bytecode", "onnx-data") and text:
        return "text"
    if kind in _MAY_BE and (text or not _MAY_BE[kind].match(head)):
        return "unknown"
    if kind in ("", "text") and text and _XML.match(text_encoding.decode(head, "replace")):
        return "xml"
    if kind in ("", "text") and text and (_RUNS_INTERPRETER if kind else _IS_SHELL).match(head):
        return "executable"
    if kind:
        return kind
    if _SHEBANG.match(head):
        return "script"
    if suffix(last) in _PROGRAMS and not text:
        return "executable"
    if not text:
        return "unknown"
    if _TEXT_NAMES.match(last):
        return "text"
    return "unknown" if suffix(last) else "text"


def _is_text(head: bytes) -> bool:
    return text_encoding.is_text(head, cut=len(head) >= HEAD_SIZE)


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
