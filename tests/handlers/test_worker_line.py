"""Chats that wait for a worker at the same time: computed together, and each with its own answer, pieces and end."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.test_turns import until
from tests.handlers.test_worker import CHAT, LIMITS, TOY, held, said
from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.worker import Worker

pytestmark = pytest.mark.xdist_group("torch")
#: The toy of test_worker for several chats: each answer says how many there were.
MANY = """
from own_toy import Toy
from weighbridge.errors import InvalidRequest
from weighbridge.handlers.interface import ChatGeneration

class Many(Toy):
    joins = False

    def generate(self, messages, **options):
        return super().generate(messages, **options)

    def stream(self, messages, **options):
        return super().stream(messages, **options)

    def generate_many(self, requests, on_answer):
        for place, request in enumerate(requests):
            text = request.messages[-1]["content"]
            if text == "late refuse":
                on_answer(place, InvalidRequest("Not this.", "Another.", tokens=3))
                continue
            if request.on_text:
                request.on_text(f"{len(requests)}:")
            if text == "cancel":
                request.cancel_event.wait(60)
                on_answer(place, ChatGeneration("so far", 1, 1, "cancelled"))
                continue
            self._do(text)
            on_answer(place, ChatGeneration(f"{len(requests)}:{text}", place, 1))

class Less(Many):
    def generate(self, messages, **options):
        return super().generate(messages, **options)
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder, limits = tmp_path_factory.mktemp("own"), replace(LIMITS, waiting=8, together=4)
    (folder / "own_toy.py").write_text(TOY)
    (folder / "own_many.py").write_text(MANY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        with Worker("own_many.Many", "x", device="cpu", name="m", limits=limits) as worker:
            yield worker


def asked(worker: Worker, folder: Path, texts: Sequence[str], **options: Any) -> list[Any]:
    """Return the answers or errors of chats that waited at the same time, in their order."""
    with ThreadPoolExecutor(len(texts) + 1) as pool:
        with held(worker, folder, pool):
            waiting: list[Future[Any]] = []
            for text in texts:
                waiting.append(pool.submit(worker.generate, said(text), **CHAT | options))
                until(lambda: worker.waiting == len(waiting))  # In this order.
        errors = [one.exception(60) for one in waiting]
    (folder / "gate").unlink()
    return [error or one.result().text for one, error in zip(waiting, errors, strict=True)]


def test_chats_that_wait_are_computed_together(many: Worker, tmp_path: Path) -> None:
    assert asked(many, tmp_path, ["a", "b", "c", "d", "e"]) == ["4:a", "4:b", "4:c", "4:d", "aaa"]
    assert asked(many, tmp_path, ["a", "b"], temperature=1.0) == ["2:a", "2:b"]
    assert asked(many, tmp_path, ["a", "b"], seed=1) == ["2:a", "2:b"]
    refused = asked(many, tmp_path, ["a", "late refuse", "b"])
    assert (refused[::2], type(refused[1]), refused[1].facts) == (["3:a", "3:b"], InvalidRequest, {"tokens": 3})


def test_a_class_that_changes_answers_is_not_asked_past_its_own_method(many: Worker, tmp_path: Path) -> None:
    with Worker("own_many.Less", "x", device="cpu", name="m", limits=LIMITS) as worker:
        assert asked(worker, tmp_path, ["a", "b"]) == ["aaa", "aaa"]


@pytest.mark.parametrize(
    ("wrong", "said_so"), [("raise", "ValueError: of the user's"), ("die", "m has ended.*SIGABRT")]
)
def test_a_chat_that_fails_harms_none_that_is_computed_with_it(
    many: Worker, tmp_path: Path, wrong: str, said_so: str
) -> None:
    found = asked(many, tmp_path, ["a", wrong, "b"])
    assert (found[0], found[2]) == ("3:a", "aaa")
    assert isinstance(found[1], HandlerError)
    assert re.search(said_so, str(found[1]))


def test_pieces_and_cancelling_are_those_of_one_chat(many: Worker, tmp_path: Path) -> None:
    event, pieces = threading.Event(), {"cancel": list[str](), "die": list[str](), "b": list[str]()}
    with ThreadPoolExecutor(8) as pool:
        with held(many, tmp_path, pool):
            waiting: list[Future[Any]] = []
            for text, heard in pieces.items():
                options = CHAT | ({"cancel_event": event} if text == "cancel" else {})
                waiting.append(pool.submit(many.stream, said(text), on_text=heard.append, **options))
                until(lambda: many.waiting == len(waiting))
        until(lambda: pieces["cancel"] == ["3:"])
        event.set()
        done = [one.exception(60) or one.result().text for one in waiting]
    assert done[0] == "so far"
    # The process has died in the middle of one text; the next one had none yet, and is answered by another process.
    assert isinstance(done[1], HandlerError)
    assert done[2] == "aaa"
    assert pieces == {"cancel": ["3:"], "die": ["3:"], "b": ["a", "a", "a"]}
