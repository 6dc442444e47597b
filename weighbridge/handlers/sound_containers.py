"""Sound in the containers of browsers, phones and Windows: MP4, M4A, WebM, Matroska, WMA, AAC, read by FFmpeg.

A file's first bytes choose the reader: FFmpeg's own guess includes play lists, which name other files and addresses.
Not here: the formats of libsndfile (sound).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from weighbridge.domain.extras import install_command
from weighbridge.errors import HandlerError, InvalidRequest

#: FFmpeg's readers, each with the offset and bytes of its files.
_READERS = (
    ("mov", 4, b"ftyp"),
    ("matroska", 0, b"\x1a\x45\xdf\xa3"),
    ("asf", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("aac", 0, b"\xff\xf1"),
    ("aac", 0, b"\xff\xf9"),
)
_START_SIZE = 16


@dataclass(frozen=True)
class Recording:
    """An open container's first sound.

    Attributes:
        rate: samples a second.
        channels: the number of channels.
        blocks: its samples in pieces of shape (samples, channels), float32, full scale 1.
    """

    rate: int
    channels: int
    blocks: Iterator[np.ndarray]


def container_of(file: BinaryIO) -> str:
    """Return FFmpeg's name of the reader for a file's first bytes, or nothing; the file stays at its start."""
    start = file.read(_START_SIZE)
    file.seek(0)
    return next((name for name, place, mark in _READERS if start[place:].startswith(mark)), "")


@contextmanager
def recording(file: BinaryIO, container: str, name: str) -> Iterator[Recording]:
    """Open a container for its first sound.

    Args:
        file: the open file.
        container: the result of `container_of`.
        name: the file's name, for messages.

    Raises:
        HandlerError: its reader is not installed.
        InvalidRequest: it has no sound, or does not describe it.
        ValueError: it is broken.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise HandlerError(
            f"{name} can be read only with the package av, which is not installed.", install_command("benchmark")
        ) from error
    try:
        with av.open(file, format=container) as opened:
            if not opened.streams.audio:
                raise InvalidRequest(f"{name} has no sound.", "Name a file with sound in it.")
            stream = opened.streams.audio[0]
            if not stream.rate or not stream.channels:
                raise InvalidRequest(f"{name} does not state the rate and channels of its sound.", "Convert it.")
            same = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
            yield Recording(stream.rate, stream.channels, _blocks(opened.decode(stream), same))
    except av.error.FFmpegError as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _blocks(frames: Iterator[Any], same: Any) -> Iterator[np.ndarray]:
    for frame in frames:
        for piece in same.resample(frame):
            yield piece.to_ndarray().T
    for piece in same.resample(None):
        yield piece.to_ndarray().T
