"""Databases of ClamAV's of our own: signatures by what they match, and the containers that hold them."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

#: Signatures by file name: text, or bytes.
Files = Mapping[str, str | bytes]


def ndb(name: str, content: bytes, target: int = 0, offset: str = "*", levels: str = "") -> str:
    """Return a line that matches content."""
    return f"{name}:{target}:{offset}:{content.hex()}{levels}\n"


def ldb(name: str, *contents: bytes, attributes: str = "Target:0", logic: str = "") -> str:
    """Return a line that matches where all contents are."""
    logic = logic or "&".join(str(number) for number in range(len(contents)))
    return f"{name};Engine:81-255,{attributes};{logic};{';'.join(content.hex() for content in contents)}\n"


def hsb(name: str, content: bytes) -> str:
    """Return a line that matches content by its digest."""
    return f"{hashlib.sha256(content).hexdigest()}:{len(content)}:{name}:73\n"


def yara(name: str, content: bytes) -> str:
    """Return a rule that matches content, which is printable."""
    return f'rule {name} {{ strings: $a = "{content.decode()}" condition: $a }}\n'


def container(files: Files, *, plain: bool = False) -> bytes:
    """Return an unsigned container (.cud) with files."""
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    info = "ClamAV-VDB:01 Jan 2026 00-00 +0000:1:1:90:X:X:tests:1767225600\n"
    info += "".join(f"{name}:{len(data)}:{hashlib.sha256(data).hexdigest()}\n" for name, data in contents.items())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in {"COPYING": b"none", "tests.info": info.encode(), **contents}.items():
            if plain or name != "COPYING":
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    header = info.split("\n")[0].encode().ljust(512)
    return header + (buffer.getvalue() if plain else gzip.compress(buffer.getvalue()))


def write(folder: Path, files: Files) -> Path:
    """Write files into a new folder, and return it."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
