"""Sound files as the models take them: one channel, 16,000 samples a second, float32. Read in pieces, within bounds.

Whatever libsndfile reads is read (WAV, FLAC, Ogg, MP3, AIFF, …) and resampled by soxr. Not here: what is said in it
(speech), and what else is read (sound_containers).
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
#: Rates outside are no sound's; a tiny one would make gigabytes of samples out of a small file.
_RATES = (1_000, 768_000)
_MAX_CHANNELS = 64
_BLOCK_FRAMES = 65_536
#: Full scale is 1; -80 dB below it nothing is heard, and models make up words for it.
SILENCE = 1e-4


@dataclass(frozen=True)
class Sound:
    """What a file sounds like.

    Attributes:
        samples: one channel at `RATE`, float32, full scale 1.
        duration_s: as the file has it.
        silent: whether nothing in it can be heard.
    """

    samples: np.ndarray = field(repr=False)
    duration_s: float
    silent: bool


def read_sound(path: str | Path, max_duration_s: float, check: Callable[[], None] = lambda: None) -> Sound:
    """Read a sound file, its channels mixed to one.

    Args:
        path: of the file.
        max_duration_s: how long the sound may be; no more of it is read, whatever its header says.
        check: called for each piece that is read; what it raises ends the reading.

    Raises:
        InvalidRequest: it is no sound, is empty, too long, or holds samples that are no numbers.
    """
    if not Path(path).is_file():
        raise InvalidRequest(f"There is no sound file {path}.", "Name one that exists.")
    try:
        # An open file, as libsndfile would guess a format from a path's ending.
        with Path(path).open("rb") as raw:
            if container := container_of(raw):
                with recording(raw, container, Path(path).name) as found:
                    return _mixed(found, Path(path).name, max_duration_s, check)
            with soundfile.SoundFile(raw) as file:
                found = Recording(file.samplerate, file.channels, _blocks(file))
                return _mixed(found, Path(path).name, max_duration_s, check)
    except WeighbridgeError:
        raise
    # soundfile hands on whatever its C library makes of a broken file.
    except (soundfile.SoundFileError, OSError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise InvalidRequest(
            f"{Path(path).name} cannot be read as sound: {str(error)[:200]}",
            "WAV, FLAC, Ogg, MP3, AIFF, M4A, MP4, WebM and WMA are read; convert it.",
        ) from error


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block


def _mixed(recorded: Recording, name: str, max_duration_s: float, check: Callable[[], None]) -> Sound:
    rate = recorded.rate
    if not _RATES[0] <= rate <= _RATES[1] or recorded.channels > _MAX_CHANNELS:
        raise InvalidRequest(
            f"{name} says that it has {recorded.channels} channels at {rate:,} Hz.", "That is no sound; convert it."
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
            raise InvalidRequest(f"{name} holds samples that are no numbers.", "Record or convert it anew.")
        peak = max(peak, float(np.abs(mono).max()))
        parts.append(resampler.resample_chunk(mono))
    if not frames:
        raise InvalidRequest(f"{name} is empty.", "Name a file with sound in it.")
    parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    return Sound(np.concatenate(parts), frames / rate, peak < SILENCE)
