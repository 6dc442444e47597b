"""Text that is handed on while it is generated: the same as the whole answer, whatever ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.handlers import tiny
from tests.simulators.openai import OpenAIService
from weighbridge.errors import Cancelled
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.text_stream import HeldText, TokenText
from weighbridge.handlers.upstream import UpstreamChat

pytestmark = pytest.mark.xdist_group("torch")
HELLO = [{"role": "user", "content": "x"}]
GREEDY: dict[str, Any] = {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0}


@given(st.lists(st.text("ab<", max_size=4)), st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3))
def test_pieces_are_the_text_before_the_first_stop_string(pieces: list[str], stop: list[str]) -> None:
    heard: list[str] = []
    held, whole = HeldText(stop, heard.append), ""
    for piece in pieces:
        held.add(piece)
        whole += piece
        places = [place for word in stop if (place := whole.find(word)) >= 0]
        so_far = whole[: min(places)] if places else whole
        assert so_far.startswith("".join(heard))
        if places:
            break
    held.finish(so_far if pieces else "")
    assert "".join(heard) == (so_far if pieces else "")
    assert "" not in heard


@given(st.text(max_size=30))
def test_letters_are_whole(text: str) -> None:
    text = text.replace("\ufffd", "")
    content = text.encode(errors="ignore")
    tokens, stream, heard = list(content), TokenText(lambda some: bytes(some).decode(errors="replace")), ""
    for count in range(1, len(tokens) + 1):
        piece = stream.add(tokens[:count])
        assert "\ufffd" not in piece
        heard += piece
    assert heard == content.decode()


@pytest.fixture
def chat(tmp_path: Path) -> TextChat:
    """Answers ABCDEABC…"""
    follows = {">": "A", "A": "B", "B": "C", "C": "D", "D": "E", "E": "A"}
    return TextChat(str(tiny.follower(tmp_path, follows)), "cpu", name="m")


@pytest.mark.parametrize(
    ("stop", "pieces"),
    [([], ["A", "B", "C", "D", "E", "A", "B", "C"]), (["CDx"], ["A", "B", "CDE", "A", "B", "C"]), (["CD"], ["A", "B"])],
)
def test_a_model_hands_on_its_text(chat: TextChat, stop: list[str], pieces: list[str]) -> None:
    heard: list[str] = []
    found = chat.stream(HELLO, on_text=heard.append, stop=stop, **GREEDY)
    assert found == chat.generate(HELLO, stop=stop, **GREEDY)
    assert (heard, found.text) == (pieces, "".join(pieces))


def test_a_cancelled_answer_says_so_and_keeps_its_text(chat: TextChat) -> None:
    event, heard = threading.Event(), []

    def hear(piece: str) -> None:
        heard.append(piece)
        if len(heard) == 3:
            event.set()

    found = chat.stream(HELLO, on_text=hear, cancel_event=event, **GREEDY)
    assert (found.text, found.completion_tokens, found.finish_reason) == ("ABC", 3, "cancelled")
    assert chat.generate(HELLO, **GREEDY).finish_reason == "length"
    with pytest.raises(Cancelled):
        chat.generate(HELLO, cancel_event=event, **GREEDY)


@pytest.fixture
def service() -> Iterator[OpenAIService]:
    with OpenAIService(lambda body: "one two three four") as service:
        yield service


@pytest.mark.parametrize("not_taken", [set(), {"stop"}])
def test_a_service_hands_on_its_text(service: OpenAIService, not_taken: set[str]) -> None:
    service.not_taken = not_taken
    heard: list[str] = []
    handler = UpstreamChat("m", upstream_base_url=service.url)
    ask: Callable[..., Any] = handler.stream
    assert ask(HELLO, on_text=heard.append, **GREEDY).text == "one two three four" == "".join(heard)
    heard.clear()
    found = ask(HELLO, on_text=heard.append, stop=["three"] if not_taken else None, **GREEDY)
    assert "".join(heard) == found.text == ("one two " if not_taken else "one two three four")
