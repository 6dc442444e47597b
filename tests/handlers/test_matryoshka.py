"""Shorter vectors: where a model was trained for them, at a service, through a worker, and refused elsewhere."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.handlers import tiny
from tests.handlers.test_sentence import POOLS, SETTINGS, TEXTS, expected, say, unit, write
from tests.simulators.openai import OpenAIService
from weighbridge.errors import HandlerError, InvalidConfiguration, InvalidRequest
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.trial import Trial, try_model
from weighbridge.handlers.upstream import UpstreamEmbedding
from weighbridge.handlers.worker import Worker

pytestmark = pytest.mark.xdist_group("torch")
EMBEDDING = "weighbridge.handlers.embedding.TextEmbedding"


def trained(folder: Path, **said: Any) -> Path:
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | said))
    return folder


@pytest.mark.parametrize("said", [{"is_matryoshka": True}, {"matryoshka_dimensions": [8, 16, 32]}, {}])
def test_vectors_are_cut_and_have_length_1_where_whole_ones_have(tmp_path: Path, said: dict[str, Any]) -> None:
    folder = trained(write(tmp_path, ("Pooling", POOLS), ("Normalize", {})), **said)
    handler = TextEmbedding(str(folder), "cpu", matryoshka=None if said else True)
    whole = handler.embed(TEXTS)
    assert np.array_equal(handler.embed(TEXTS, dimensions=None, encoding_format="base64"), whole)
    for dimensions in (8, 16, 32):
        np.testing.assert_allclose(handler.embed(TEXTS, dimensions=dimensions), unit(whole[:, :dimensions]), atol=1e-6)
    assert handler.embed([], dimensions=8).shape == (0, 8)
    plain = TextEmbedding(str(folder), "cpu", matryoshka=True, normalize=False)
    np.testing.assert_allclose(plain.embed(TEXTS, dimensions=8), plain.embed(TEXTS)[:, :8], atol=1e-6)


def test_a_publishers_own_length_is_no_limit(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Pooling", POOLS))
    say(folder / SETTINGS, truncate_dim=8)
    handler = TextEmbedding(str(folder), "cpu")
    assert handler.dim == 8
    truth = expected(folder, lambda states: states.mean(axis=0))
    np.testing.assert_allclose(handler.embed(TEXTS, dimensions=16), truth[:, :16], atol=1e-5)
    np.testing.assert_allclose(handler.embed(TEXTS, dimensions=32), truth, atol=1e-5)


@pytest.mark.parametrize(
    ("said", "option", "dimensions", "told"),
    [
        ({}, None, 8, "not trained for shorter vectors"),
        ({"is_matryoshka": True}, False, 8, "not trained for shorter vectors"),
        ({"is_matryoshka": "yes"}, None, 8, "not trained for shorter vectors"),
        ({"is_matryoshka": True}, None, 33, r"vectors of 32 numbers, and 33"),
        ({"matryoshka_dimensions": ["8"]}, None, 8, "not trained for shorter vectors"),
        ({"matryoshka_dimensions": [32]}, None, 8, "not trained for shorter vectors"),
        ({"matryoshka_dimensions": [8, 16, 64]}, None, 9, r"of 9 numbers\. Ask for 8, 16, 32"),
        ({}, True, 0, "dimensions is 0"),
        ({}, True, 8.0, r"dimensions is 8\.0"),
        ({}, True, True, "dimensions is True"),
    ],
)
def test_other_lengths_are_refused(
    tmp_path: Path, said: dict[str, Any], option: bool | None, dimensions: Any, told: str
) -> None:
    handler = TextEmbedding(str(trained(tiny.bert(tmp_path), **said)), "cpu", matryoshka=option)
    with pytest.raises(InvalidRequest) as caught:
        handler.embed(TEXTS, dimensions=dimensions)
    assert caught.match(told) or told in caught.value.remedy
    assert handler.embed(TEXTS, dimensions=32).shape == (3, 32)  # That is no other length.


def test_the_models_own_length_is_always_there_and_is_what_it_is_without_asking(tmp_path: Path) -> None:
    folder = trained(write(tmp_path, ("Pooling", POOLS), ("Normalize", {})), matryoshka_dimensions=[16])
    say(folder / SETTINGS, truncate_dim=8)
    for option in (None, False):
        handler = TextEmbedding(str(folder), "cpu", matryoshka=option)
        assert np.array_equal(handler.embed(TEXTS, dimensions=8), handler.embed(TEXTS))


@pytest.mark.parametrize("size", [32, 64])
def test_a_length_that_cuts_nothing_states_nothing(tmp_path: Path, size: int) -> None:
    folder = write(tmp_path, ("Pooling", POOLS))
    say(folder / SETTINGS, truncate_dim=size)
    with pytest.raises(InvalidRequest, match="not trained for shorter vectors"):
        TextEmbedding(str(folder), "cpu").embed(TEXTS, dimensions=8)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    with pytest.raises(InvalidConfiguration, match="matryoshka is 'yes'"):
        TextEmbedding(str(folder), "cpu", matryoshka="yes")
    handler = TextEmbedding(str(folder), "cpu")
    for options in ({"encoding_format": "int8"}, {"user": "me"}):
        with pytest.raises(InvalidRequest, match=next(iter(options))):
            handler.embed(TEXTS, **options)


def test_a_service_gets_both_fields_and_is_held_to_them() -> None:
    def respond(path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        numbers = [[float(len(text))] + [0.5] * (body.get("dimensions", 4) - 1) for text in body["input"]]
        sent: list[Any] = numbers
        if body.get("encoding_format") == "base64":
            sent = [base64.b64encode(struct.pack(f"<{len(one)}f", *one)).decode() for one in numbers]
        return 200, {}, {"data": [{"index": place, "embedding": one} for place, one in enumerate(sent)]}

    with OpenAIService() as service:
        service.respond = respond
        handler = UpstreamEmbedding("m", upstream_base_url=service.url)
        short = handler.embed(["a", "bcd"], dimensions=2, encoding_format="base64")
        np.testing.assert_array_equal(short, np.array([[1, 0.5], [3, 0.5]], np.float32))
        assert service.asked[-1][1] == {
            "model": "m",
            "input": ["a", "bcd"],
            "dimensions": 2,
            "encoding_format": "base64",
        }
        assert handler.dim == handler.embed(["a"]).shape[1] == 4
        assert "dimensions" not in service.asked[-1][1]
        assert handler.embed([], dimensions=3).shape == (0, 3)
        service.respond = lambda path, body: (200, {}, {"data": [{"embedding": [1.0, 2.0, 3.0]}]})
        with pytest.raises(HandlerError, match=r"lengths 2, 3, and 2 dimensions were asked for"):
            handler.embed(["a"], dimensions=2)
        service.respond = lambda path, body: (400, {}, {"error": {"message": "does not support matryoshka"}})
        with pytest.raises(InvalidRequest, match="does not support matryoshka"):
            handler.embed(["a"], dimensions=2)


def test_a_service_that_knows_no_formats_is_asked_without_one() -> None:
    def respond(path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if "encoding_format" in body:
            return 422, {}, {"detail": "Extra inputs are not permitted: encoding_format"}
        return 200, {}, {"data": [{"embedding": [1.0, 2.0]} for _ in body["input"]]}

    with OpenAIService() as service:
        service.respond = respond
        handler = UpstreamEmbedding("m", upstream_base_url=service.url)
        for _ in range(2):
            assert handler.embed(["a"], encoding_format="base64").tolist() == [[1.0, 2.0]]
        assert len(service.asked) == 3


def test_try_and_a_worker_hand_them_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trained(tiny.bert(tmp_path / "model"), is_matryoshka=True)
    whole = TextEmbedding(str(folder), "cpu").embed(["hello"])[0]
    trial = Trial(EMBEDDING, str(folder), "hello", device="cpu", options={"name": "tiny"}, dimensions=4)
    np.testing.assert_allclose(try_model(trial).value, whole[:4], atol=1e-6)
    reply = try_model(Trial(**{**vars(trial), "encoding_format": "base64"}))
    assert reply.value == reply.text
    np.testing.assert_allclose(struct.unpack("<4f", base64.b64decode(reply.value)), whole[:4], atol=1e-6)
    with Worker(EMBEDDING, folder, device="cpu") as worker:
        np.testing.assert_allclose(worker.embed(["hello"], dimensions=4)[0], whole[:4], atol=1e-6)
        with pytest.raises(InvalidRequest, match="33"):
            worker.embed(["hello"], dimensions=33)
    (tmp_path / "own_embeds.py").write_text(
        "class Mine:\n    name, capabilities = 'mine', ['text-embedding']\n"
        "    def __init__(self, *a, **k): ...\n    def count_tokens(self, texts): ...\n"
        "    def embed(self, texts, cancel_event=None): return [[1.0]]\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    with pytest.raises(InvalidRequest, match="mine takes no dimensions"):
        try_model(Trial("own_embeds.Mine", "x", "hello", device="cpu", dimensions=4))
