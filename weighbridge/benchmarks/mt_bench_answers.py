"""A model's answers to MT-Bench's questions: two turns of one conversation, within the model's context.

A conversation that leaves too little room in the context (less than a quarter of it, or than an answer may have)
continues without the end of the first answer, as the model sees it; if not even the requests alone fit, the answer is
empty. Who knows no context, such as an endpoint, is asked as it is. Not here: what the answers are worth
(benchmarks.judging).
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from weighbridge.benchmarks.mt_bench_questions import TEMPERATURES, TURNS, Question
from weighbridge.benchmarks.patience import Patience
from weighbridge.errors import Cancelled, HandlerError
from weighbridge.handlers.request import whole_number

TOP_P = 1.0
#: Letters a token, on average, that an answer is judged with at most; English has four.
LETTERS = 16
_ROOM = 4

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What a model said in one turn.

    Attributes:
        text: as it is judged.
        tokens: that the model generated for it; None where a service does not count.
        shortened: why the conversation is not the whole one, or empty.
    """

    text: str = field(repr=False)
    tokens: int | None = 0
    shortened: str = ""


class ChatAsker:
    """Asks a chat handler; safe for several threads, of which as many work as the handler takes.

    Args:
        handler: a `ChatModel`.
        max_new_tokens: of each answer.
        seed: of what is sampled, where torch samples it.
        patience: how long an endpoint is borne with.
        side_by_side: threads.
    """

    def __init__(self, handler: Any, max_new_tokens: int, seed: int, patience: Patience, side_by_side: int) -> None:
        self._handler, self._max_new_tokens, self._seed, self._patience = handler, max_new_tokens, seed, patience
        most = getattr(handler, "max_parallelism", None) or side_by_side
        self._free = threading.Semaphore(most if getattr(handler, "thread_safe", False) else 1)

    def answer(self, question: Question, stop: threading.Event) -> tuple[Answer, ...]:
        """Return the answers to both turns.

        Raises:
            HandlerError, OutOfMemory: the model fails.
            Cancelled: `stop` was set.
        """
        with self._free:
            messages: Messages = []
            answers: list[Answer] = []
            for turn in range(TURNS):
                messages.append({"role": "user", "content": question.turns[turn]})
                answers.append(self._turn(question, turn, messages, stop))
                messages.append({"role": "assistant", "content": answers[-1].text})
            return tuple(answers)

    def _turn(self, question: Question, turn: int, messages: Messages, stop: threading.Event) -> Answer:
        if stop.is_set():
            raise Cancelled("The benchmark was cancelled.")
        fitting = self._fitting(messages)
        if fitting is None:
            return Answer("", shortened="had no room for an answer")
        self._sow(question, turn)
        found = self._patience.ask(
            lambda: self._handler.generate(
                fitting,
                max_new_tokens=self._max_new_tokens,
                temperature=TEMPERATURES[question.category],
                top_p=TOP_P,
                cancel_event=stop,
            ),
            stop,
        )
        if found.finish_reason == "cancelled":
            raise Cancelled("The benchmark was cancelled.")
        text = str(found.text)
        kept = _kept(text, self._max_new_tokens)
        told = "were longer than the model's context" if fitting != messages else ""
        return Answer(kept, found.completion_tokens, told if len(text) <= len(kept) else "had answers that are cut")

    def _fitting(self, messages: Messages) -> Messages | None:
        """Return messages that leave room for an answer: these, or with less of the first answer; None for none."""
        context = getattr(self._handler, "context_length", None)
        if not isinstance(context, int):
            return messages
        most = context - min(self._max_new_tokens, context // _ROOM)
        if self._handler.count_tokens(messages) <= most:
            return messages
        if len(messages) == 1 or self._handler.count_tokens(_cut(messages, 0)) > most:
            return None
        fits, beyond = 0, len(messages[1]["content"])
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            if self._handler.count_tokens(_cut(messages, middle)) <= most:
                fits = middle
            else:
                beyond = middle
        return _cut(messages, fits)

    def _sow(self, question: Question, turn: int) -> None:
        """Make what torch samples for an answer the same in every run, whatever was asked before."""
        torch: Any = sys.modules.get("torch")
        if torch is not None:
            said = f"{self._seed} {question.id} {turn}".encode()
            torch.manual_seed(int.from_bytes(hashlib.sha256(said).digest()[:4]))


def told_answers(place: int, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the answers to a question, which is given by its place, as `read_answers` reads them."""
    return {"question": place, "answers": [asdict(answer) for answer in answers]}


def read_answers(told: Any, max_new_tokens: int) -> tuple[int, tuple[Answer, ...]]:
    """Return a question's place and the answers to it, from a process whose model may have code of its own.

    Raises:
        HandlerError: it tells something else.
    """
    try:
        answers = tuple(Answer(**answer) for answer in told["answers"])
        texts = [_kept(answer.text, max_new_tokens) for answer in answers]
        place, counts = told["question"], [answer.tokens for answer in answers]
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_answers() from error
    if len(answers) != TURNS or not all(count is None or (whole_number(count) and count >= 0) for count in counts):
        raise _no_answers()
    return place, tuple(replace(answer, text=text) for answer, text in zip(answers, texts, strict=True))


def _no_answers() -> HandlerError:
    return HandlerError("The model's process tells something else than answers.", "Check its handler.")


def _kept(text: str, max_new_tokens: int) -> str:
    """Return a text as it is judged: JSON may hold halves of letters, which cannot be sent on."""
    return text[: LETTERS * max_new_tokens].encode(errors="replace").decode()


def _cut(messages: Sequence[dict[str, Any]], letters: int) -> Messages:
    """Return the messages with no more of the first answer than so many letters."""
    request, answer, *rest = messages
    return [request, {**answer, "content": answer["content"][:letters]}, *rest]
