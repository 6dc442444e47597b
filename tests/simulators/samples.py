"""Hostile and harmless samples, made by code: no file of this project holds one."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import py7zr


class _Calls:
    """Pickles to a call of a global when protocol and place are given."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def malicious_pickle(protocol: int = 4) -> bytes:
    """Return a pickle that would run a shell command."""
    import os

    return pickle.dumps(_Calls(os.system, "true"), protocol=protocol)


def malicious_global(module: str, name: str, protocol: int = 4) -> bytes:
    """Return a pickle that calls any global, importable here or not."""
    if protocol < 4:
        return b"\x80" + bytes([protocol]) + f"c{module}\n{name}\n".encode() + b"X\x04\x00\x00\x00true\x85R."

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return b"\x80\x04" + text(module) + b"\x94" + text(name) + b"\x94\x93\x94" + text("true") + b"\x85R."


def joblib_of(value: Any, compress: Any = 0) -> bytes:
    """Return what `joblib.dump` writes: arrays lie between the opcodes of a pickle."""
    import joblib

    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=compress)
    return buffer.getvalue()


def calling(function: Any, *arguments: Any) -> object:
    """Return an object that pickles to a call of an importable function."""
    return _Calls(function, *arguments)


def state_dict_pickle(tensors: int = 2) -> bytes:
    """Return the data.pkl of a torch file: an OrderedDict of tensors whose storages are persistent ids."""
    body = b"\x80\x02ccollections\nOrderedDict\n)R("
    for number in range(tensors):
        key = f"layer.{number}".encode()
        body += b"X" + struct.pack("<I", len(key)) + key
        body += b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        body += b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89"
        body += b"ccollections\nOrderedDict\n)RtR"
    return body + b"u."


def torch_zip(pickled: bytes, name: str = "archive/data.pkl") -> bytes:
    """Return a torch file in today's format, a stored zip."""
    return zip_of({name: pickled, "archive/data/0": np.arange(4, dtype="<f4").tobytes(), "archive/version": b"3\n"})


def legacy_torch(pickled: bytes) -> bytes:
    """Return a torch file in the old format: five pickles, then raw storages."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    parts = [magic, pickle.dumps(1001, protocol=2), pickle.dumps({"little_endian": True}, protocol=2)]
    return b"".join(parts) + pickled + pickle.dumps(["0"], protocol=2) + struct.pack("<q", 4) + bytes(range(200, 216))


Members = dict[str, bytes] | list[tuple[str, bytes]]


def _pairs(members: Members) -> list[tuple[str, bytes]]:
    return list(members.items()) if isinstance(members, dict) else members


def zip_of(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of some members, of pairs where names come twice."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore", UserWarning)  # Of names that come twice.
        for name, content in _pairs(members):
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(members: Members, mode: str = "w") -> bytes:
    """Return a tar of some members; mode `w:gz` and the like compress it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in _pairs(members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_that_is_a_pickle() -> bytes:
    """Return a whole tar whose first member's name is a pickle that would run a shell command."""
    return tar_of({"cos\nsystem\n(S'true'\ntR.": b"x"})


def seven_zip_of(folder: Path, members: dict[str, bytes], password: str | None = None) -> bytes:
    """Return a 7z of some members; `folder` is for a temporary file."""
    path = folder / "made.7z"
    with py7zr.SevenZipFile(path, "w", password=password) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    content = path.read_bytes()
    path.unlink()
    return content


def npy_of(array: np.ndarray) -> bytes:
    """Return a .npy file; an array of objects is pickled into it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def malicious_npy() -> bytes:
    """Return a .npy file of objects whose pickle would run a shell command."""
    import os

    return npy_of(np.array([_Calls(os.system, "true")], dtype=object))


def encrypted_zip() -> bytes:
    """Return a zip whose one member is flagged as encrypted, in its header and in the directory."""
    content = bytearray(zip_of({"secret": b"x" * 100}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def zip_bomb(size: int = 512 * 1024 * 1024) -> bytes:
    """Return a small zip whose one member unpacks to `size` zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(size // (1024 * 1024)):
            member.write(bytes(1024 * 1024))
    return buffer.getvalue()


def overlapping_bomb(members: int, size: int) -> bytes:
    """Return a zip whose many members are all the same bytes, each of which unpacks to `size` zeros."""
    one = zip_of({"zeros": bytes(size)}, zipfile.ZIP_DEFLATED)
    start, end = one.index(b"PK\x01\x02"), one.rindex(b"PK\x05\x06")
    entry = one[start:end]
    names = [f"{number:05}".encode() for number in range(members)]
    directory = b"".join(entry.replace(b"zeros", name) for name in names)
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, members, members, len(directory), start, 0)
    return one[:start] + directory + record
