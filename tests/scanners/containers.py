"""Containers that are written in memory, for what scans their members."""

from __future__ import annotations

import io
import tarfile
import zipfile

import py7zr

CLEAN = b"clean " * 1000


def zipped(method: int = zipfile.ZIP_DEFLATED, /, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def seven_zip(name: str, content: bytes, method: str = "FILTER_LZMA2", password: str | None = None) -> bytes:
    more = {"FILTER_PPMD": {"order": 6, "mem": 24}, "FILTER_BROTLI": {"level": 3}}.get(method, {})
    filters = None if password else [{"id": getattr(py7zr, method), **more}]
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", filters=filters, password=password) as archive:
        archive.writestr(content, name)
    return buffer.getvalue()
