"""Speech: a real Whisper and a real voice; sounds that are none, and models that cannot do what is asked."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from tests.handlers import tiny
from tests.services.whisper import beckett, two_cities, whisper  # noqa: F401 (fixtures)
from weighbridge.errors import Cancelled, HandlerError
from weighbridge.handlers.interface import SpeechSegment
from weighbridge.handlers.loading import open_handler
from weighbridge.handlers.sound import RATE, read_sound
from weighbridge.handlers.speech import WhisperSpeech

pytestmark = pytest.mark.xdist_group("torch")
PLAIN: dict[str, Any] = {
    "language": None,
    "prompt": None,
    "temperature": 0.0,
    "task": "transcribe",
    "timestamp_granularity": None,
}
WORDS = ("ever tried", "ever failed", "try again", "fail again", "fail better")


@pytest.fixture(scope="module")
def speech(whisper: Path) -> WhisperSpeech:  # noqa: F811
    return open_handler("weighbridge.handlers.speech.WhisperSpeech", whisper, device="cpu", name="tiny.en")  # type: ignore[return-value]


def plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ")


def ascend(parts: tuple[SpeechSegment, ...], duration_s: float) -> bool:
    ordered = all(one.end_s <= two.start_s for one, two in pairwise(parts))
    return ordered and all(0 <= part.start_s <= part.end_s <= duration_s for part in parts)


def test_words_are_heard_with_their_times(speech: WhisperSpeech, beckett: Path) -> None:  # noqa: F811
    found = speech.transcribe(str(beckett), **PLAIN | {"timestamp_granularity": "word"})
    assert all(words in plain(found.text) for words in WORDS)
    assert found.language == "en"
    assert found.duration_s == pytest.approx(soundfile.info(str(beckett)).duration)
    assert plain(" ".join(word.text for word in found.words)) == plain(found.text)
    assert ascend(found.words, found.duration_s)
    assert len({word.start_s for word in found.words}) > len(found.words) / 2
    assert found.words[-1].end_s > found.duration_s / 2
    assert found.segments == ()


def test_a_sound_longer_than_what_whisper_hears_at_once(speech: WhisperSpeech, two_cities: Path) -> None:  # noqa: F811
    found = speech.transcribe(str(two_cities), **PLAIN | {"timestamp_granularity": "segment", "prompt": "Dickens."})
    assert found.duration_s > 40
    assert "best of times" in found.segments[0].text
    assert "superlative degree" in found.segments[-1].text
    assert ascend(found.segments, found.duration_s)
    assert found.segments[-1].end_s > 40
    assert " ".join(segment.text for segment in found.segments) == found.text


def test_no_words_are_made_up_in_the_silence_after_the_last(
    speech: WhisperSpeech,
    tmp_path: Path,
    beckett: Path,  # noqa: F811
) -> None:
    samples, rate = soundfile.read(beckett)
    soundfile.write(tmp_path / "longer.wav", np.concatenate([samples, np.zeros(60 * rate)]), rate)
    found = speech.transcribe(str(tmp_path / "longer.wav"), **PLAIN | {"timestamp_granularity": "segment"})
    assert plain(found.text).endswith("fail better")
    assert all(one.start_s < one.end_s <= found.duration_s for one in found.segments)


def test_a_doubtful_answer_is_asked_for_again(speech: WhisperSpeech, beckett: Path) -> None:  # noqa: F811
    assert "fail better" in plain(speech.transcribe(str(beckett), **PLAIN | {"temperature": None}).text)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"language": "de"}, "only English, not “de”"),
        ({"task": "translate"}, "cannot translate"),
        ({"prompt": "<|startoftranscript|>"}, "special token"),
    ],
)
def test_what_the_model_cannot_do_is_told(
    speech: WhisperSpeech,
    beckett: Path,  # noqa: F811
    asked: dict[str, Any],
    told: str,
) -> None:
    with pytest.raises(HandlerError, match=told):
        speech.transcribe(str(beckett), **PLAIN | asked)


def test_nothing_is_said_in_silence(speech: WhisperSpeech, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE * 2), RATE)
    found = speech.transcribe(str(tmp_path / "silence.wav"), **PLAIN)
    assert (found.text, found.duration_s) == ("", 2.0)


def sounds() -> dict[str, np.ndarray]:
    """Return sounds in which nobody speaks."""
    dice, times = np.random.default_rng(0), np.arange(5 * RATE) / RATE
    return {
        "noise": dice.standard_normal(5 * RATE) * 0.05,
        "hum": np.sin(2 * np.pi * 50 * times) * 0.2,
        "tone": np.sin(2 * np.pi * 1000 * times) * 0.2,
        "click": dice.standard_normal(RATE // 100) * 0.3,
    }


@pytest.mark.parametrize("kind", ["noise", "hum", "click"])
def test_nothing_is_said_where_nobody_speaks(speech: WhisperSpeech, tmp_path: Path, kind: str) -> None:
    soundfile.write(tmp_path / "sound.wav", sounds()[kind], RATE)
    assert speech.transcribe(str(tmp_path / "sound.wav"), **PLAIN).text == ""


@pytest.mark.parametrize("granularity", [None, "segment", "word"])
def test_dots_are_no_words(
    speech: WhisperSpeech,
    beckett: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    granularity: str | None,
) -> None:
    """Models write them for minutes of quiet noise, which this does not wait for."""
    chosen = PLAIN | {"timestamp_granularity": granularity}
    found, hear = speech.transcribe(str(beckett), **chosen), speech._segments

    def with_dots(*arguments: Any) -> list[Any]:
        dots = torch.tensor(speech._tokenizer(" . .", add_special_tokens=False).input_ids)
        times = torch.full((len(dots),), 9.0)
        segment = {"start": torch.tensor(9.0), "end": torch.tensor(10.0), "tokens": dots, "token_timestamps": times}
        return [*hear(*arguments), segment]

    monkeypatch.setattr(speech, "_segments", with_dots)
    assert speech.transcribe(str(beckett), **chosen) == found


def test_what_is_repeated_at_each_time_is_a_repetition(speech: WhisperSpeech) -> None:
    """OpenAI's program takes an answer for doubtful from 2.4 on; the times between its words do not count."""

    first = speech._tokenizer.convert_tokens_to_ids("<|notimestamps|>") + 1

    def tokens(text: str) -> list[int]:
        found: list[int] = speech._tokenizer(text, add_special_tokens=False).input_ids
        return found

    def ratio(tokens: list[int]) -> float:
        return float(speech.model._retrieve_compression_ratio(torch.tensor(tokens), speech.model.config.vocab_size))

    timed = [token for number in range(20) for token in (first + 50 * number, *tokens(" you"))]
    assert ratio(timed) == ratio(tokens(" you" * 20)) > 2.4
    assert ratio([first]) == 0
    assert ratio(tokens(" Ever tried, ever failed. No matter, try again.")) < 2.4


def test_a_doubtful_sound_has_the_same_text_each_time(speech: WhisperSpeech, tmp_path: Path) -> None:
    """At temperature 0 higher ones are tried by the same dice, and other dice go on as if nothing had been drawn."""
    soundfile.write(tmp_path / "sound.wav", sounds()["tone"], RATE)
    state = torch.get_rng_state()
    texts = {speech.transcribe(str(tmp_path / "sound.wav"), **PLAIN).text for _ in range(2)}
    assert len(texts) == 1
    assert torch.equal(torch.get_rng_state(), state)


class SetLater(threading.Event):
    """An event that is set once it has been looked at a number of times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [0, 1, 5])
def test_a_cancelled_transcript_ends(speech: WhisperSpeech, beckett: Path, looks: int) -> None:  # noqa: F811
    event = SetLater(looks)
    with pytest.raises(Cancelled):
        speech.transcribe(str(beckett), **PLAIN, cancel_event=event)
    assert event.looks == -1


def test_channels_are_mixed_and_rates_changed(tmp_path: Path) -> None:
    times = np.arange(44_100 * 3) / 44_100
    left = np.sin(2 * np.pi * 1000 * times)
    soundfile.write(tmp_path / "tone.flac", np.stack([left, np.zeros_like(left)], axis=1) * 0.8, 44_100)
    sound = read_sound(tmp_path / "tone.flac", 10)
    assert sound.duration_s == 3
    assert sound.samples.dtype == np.float32
    assert len(sound.samples) == pytest.approx(3 * RATE, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(sound.samples[:RATE]))) == 1000
    assert np.abs(sound.samples[1000:-1000]).max() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_kind_of_wav_is_read(tmp_path: Path, subtype: str) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE) * 0.5
    soundfile.write(tmp_path / "tone.wav", tone, RATE, subtype=subtype)
    assert np.abs(read_sound(tmp_path / "tone.wav", 10).samples[:RATE] - tone).max() < 0.05


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read as sound"),
        (b"hello" * 100, "cannot be read as sound"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0", "cannot be read as sound"),
        (None, "no sound file"),
    ],
)
def test_what_is_no_sound_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "sound.raw"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HandlerError, match=told):
        read_sound(file, 10)


@pytest.mark.parametrize(
    ("samples", "rate", "told"),
    [
        (np.zeros(0), RATE, "empty"),
        (np.zeros(RATE * 11), RATE, "longer than 10 seconds"),
        (np.full(100, np.nan), RATE, "not numbers"),
        (np.zeros(100), 1, "1 Hz"),
        (np.zeros((10, 100)), RATE, "100 channels"),
    ],
)
def test_sounds_that_cannot_be_are_told(tmp_path: Path, samples: np.ndarray, rate: int, told: str) -> None:
    soundfile.write(tmp_path / "sound.wav", samples, rate, subtype="FLOAT")
    with pytest.raises(HandlerError, match=told):
        read_sound(tmp_path / "sound.wav", 10)


def test_a_multilingual_model_finds_out_the_language(
    tmp_path: Path,
    whisper: Path,  # noqa: F811
    beckett: Path,  # noqa: F811
) -> None:
    handler = WhisperSpeech(str(tiny.whisper(tmp_path, whisper)), "cpu", name="tiny")
    assert handler.multilingual
    found = handler.transcribe(str(beckett), **PLAIN)
    assert len(found.language or "") in (2, 3)
    asked = handler.transcribe(str(beckett), **PLAIN | {"language": "German", "task": "translate"})
    assert asked.language == "de"
    with pytest.raises(HandlerError, match="“tlh”"):
        handler.transcribe(str(beckett), **PLAIN | {"language": "tlh"})
    with pytest.raises(HandlerError, match="alignment_heads"):
        handler.transcribe(str(beckett), **PLAIN | {"timestamp_granularity": "word"})


def test_a_model_that_computes_no_numbers_is_told(
    tmp_path: Path,
    whisper: Path,  # noqa: F811
    beckett: Path,  # noqa: F811
) -> None:
    weights = load_file(tiny.whisper(tmp_path, whisper) / "model.safetensors")
    weights["model.decoder.layer_norm.weight"] = torch.full((8,), float("nan"))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HandlerError, match="NaN"):
        WhisperSpeech(str(tmp_path), "cpu").transcribe(str(beckett), **PLAIN)


def test_what_is_no_whisper_is_told(tmp_path: Path) -> None:
    with pytest.raises(HandlerError):
        WhisperSpeech(str(tiny.llama(tmp_path)), "cpu")
