"""What browsers, phones and Windows record is read as the same sound in WAV; what names other files is not."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weighbridge.errors import HandlerError
from weighbridge.handlers.sound import RATE, read_sound

av: Any = pytest.importorskip("av", reason="reads containers; of the extra benchmark")
#: Ending, codec, and whether it holds pictures too.
KINDS = (
    *(("m4a", "aac", False), ("mp4", "aac", True), ("mov", "pcm_s16le", False), ("aac", "aac", False)),
    *(("webm", "libopus", False), ("mkv", "flac", True), ("wma", "wmav2", False)),
)
FORMATS = {"m4a": "mp4", "mkv": "matroska", "wma": "asf", "aac": "adts"}


def record(file: Path, codec: str, *, seen: bool = False, rate: int = 48_000, seconds: int = 3) -> None:
    """Write a tone of 1,000 Hz on the left of two channels, with pictures where they are wanted."""
    samples = np.zeros((2, rate * seconds), np.float32)
    samples[0] = np.sin(2 * np.pi * 1000 * np.arange(rate * seconds) / rate) * 0.8
    kind = file.suffix[1:]
    with av.open(str(file), "w", format=FORMATS.get(kind, kind)) as container:
        picture = container.add_stream("mpeg4", rate=5, width=16, height=16, pix_fmt="yuv420p") if seen else None
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.rate, frame.pts = rate, 0
        fitting = av.AudioResampler(format=stream.format, layout="stereo", rate=rate, frame_size=stream.frame_size or 0)
        for piece in [*fitting.resample(frame), *fitting.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
        if picture is not None:
            seeing = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            container.mux(picture.encode(seeing))
            container.mux(picture.encode(None))


@pytest.mark.parametrize(("kind", "codec", "seen"), KINDS, ids=str)
def test_what_others_record_is_the_same_sound(tmp_path: Path, kind: str, codec: str, seen: bool) -> None:
    record(tmp_path / f"tone.{kind}", codec, seen=seen)
    sound = read_sound(tmp_path / f"tone.{kind}", 10)
    assert sound.duration_s == pytest.approx(3, abs=0.1)
    assert len(sound.samples) == pytest.approx(RATE * sound.duration_s, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(sound.samples[RATE // 2 : RATE // 2 + RATE]))) == 1000
    assert np.abs(sound.samples[RATE:-RATE]).max() == pytest.approx(0.4, abs=0.04)
    assert not sound.silent


def test_a_recording_is_read_no_further_than_allowed(tmp_path: Path) -> None:
    record(tmp_path / "long.m4a", "aac", seconds=4)
    with pytest.raises(HandlerError, match="longer than 3 seconds"):
        read_sound(tmp_path / "long.m4a", 3)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\0\0\0\x18ftypM4A \0\0\0\0" + bytes(100), "cannot be read as sound"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "cannot be read as sound"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(100), "cannot be read as sound"),
        (b"\xff\xf1" + bytes(100), "cannot be read as sound|does not state"),
        (b"#EXTM3U\n#EXTINF:3,\nother.m4a\n", "cannot be read as sound"),
        (b"ffconcat version 1.0\nfile other.m4a\n", "cannot be read as sound"),
    ],
)
def test_what_is_broken_or_names_other_files_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    record(tmp_path / "other.m4a", "aac")
    (tmp_path / "list.m4a").write_bytes(content)
    with pytest.raises(HandlerError, match=told):
        read_sound(tmp_path / "list.m4a", 10)


def test_half_a_recording_is_told_or_shorter(tmp_path: Path) -> None:
    for kind, codec, _ in KINDS:
        whole = tmp_path / f"whole.{kind}"
        record(whole, codec)
        cut = tmp_path / f"cut.{kind}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with contextlib.suppress(HandlerError):
            assert read_sound(cut, 10).duration_s < 3
