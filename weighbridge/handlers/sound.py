"""Sound files in the form for models: one channel, 16,000 samples a second, float32. They are read in limited pieces.

libsndfile reads its formats (WAV, FLAC, Ogg, MP3, AIFF, …) and soxr resamples them. Not here: transcripts (speech), and
other formats (sound_containers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from weighbridge.errors import InvalidRequest, WeighbridgeError
from weighbridge.handlers.sound_containers import Recording, container_of, recording

RATE = 16_000
#: The accepted sample rates; a tiny one would turn a small file into gigabytes of samples.
_RATES = (1_000, 768_000)
_MAX_CHANNELS = 64
_BLOCK_FRAMES = 65_536
#: The level of silence, -80 dB of the full scale 1; models invent words for it.
SILENCE = 1e-4


@dataclass(frozen=True)
class Sound:
    """The sound in a file.

    Attributes:
        samples: one channel at `RATE`, float32, full scale 1.
        duration_s: its duration in the file.
        silent: whether it has only silence.
    """

    samples: np.ndarray = field(repr=False)
    duration_s: float
    silent: bool


def read_sound(path: str | Path, max_duration_s: float, check: Callable[[], None] = lambda: None) -> Sound:
    """Return the sound in a file, its channels mixed to one.

    Args:
        path: the path of the file.
        max_duration_s: the longest sound; no more of it is read, independent of its header.
        check: called for each piece; its exceptions end the reading.

    Raises:
        InvalidRequest: it is not a sound, is empty, too long, or has samples that are not numbers.
    """
    if not Path(path).is_file():
        raise InvalidRequest(f"There is no sound file {path}.", "Name one that exists.")
    try:
        # libsndfile gets an open file, as it would guess a format from a path's suffix.
        with Path(path).open("rb") as raw:
            if container := container_of(raw):
                with recording(raw, container, Path(path).name) as found:
                    return _mixed(found, Path(path).name, max_duration_s, check)
            with soundfile.SoundFile(raw) as file:
                found = Recording(file.samplerate, file.channels, _blocks(file))
                return _mixed(found, Path(path).name, max_duration_s, check)
    except WeighbridgeError:
        raise
    # soundfile passes on the values that its C library reads from a broken file.
    except (soundfile.SoundFileError, OSError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise InvalidRequest(
            f"{Path(path).name} cannot be read as sound: {str(error)[:200]}",
            "The formats are WAV, FLAC, Ogg, MP3, AIFF, M4A, MP4, WebM and WMA; convert it.",
        ) from error


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block


def _mixed(recorded: Recording, name: str, max_duration_s: float, check: Callable[[], None]) -> Sound:
    rate = recorded.rate
    if not _RATES[0] <= rate <= _RATES[1] or recorded.channels > _MAX_CHANNELS:
        raise InvalidRequest(
            f"{name} says that it has {recorded.channels} channels at {rate:,} Hz.", "That is not a sound; convert it."
        )
    resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32")
    frames, peak, parts = 0, 0.0, []
    for block in recorded.blocks:
        check()
        frames += len(block)
        if frames > max_duration_s * rate:
            raise InvalidRequest(
                f"{name} is longer than {max_duration_s:,.0f} seconds.",
                "Cut it, or raise max_duration_s of the handler.",
                limit_s=max_duration_s,
            )
        mono = block.mean(axis=1)
        if not np.isfinite(mono).all():
            raise InvalidRequest(f"{name} has samples that are not numbers.", "Record or convert it again.")
        peak = max(peak, float(np.abs(mono).max()))
        parts.append(resampler.resample_chunk(mono))
    if not frames:
        raise InvalidRequest(f"{name} is empty.", "Name a file with sound in it.")
    parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    return Sound(np.concatenate(parts), frames / rate, peak < SILENCE)
