"""A model's answers to MT-Bench's questions: two turns of one conversation, within the model's context.

A conversation that leaves too little room in the context (less than a quarter of it, or than the longest answer)
continues, for the model, without the end of the first answer; if not even the requests fit, the answer is empty. A
handler without a known context, such as an endpoint, gets the whole conversation. Not here: the grades of the answers
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
#: The most characters for each token of an answer that are judged; English has four.
LETTERS = 16
#: A count of tokens is less than this: every smaller integer is a float, too.
_COUNTS = 2**53
_ROOM = 4

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """A model's answer in one turn.

    Attributes:
        text: the text to judge.
        tokens: the generated tokens; None where a service does not count them.
        shortened: the reason why the conversation is not whole, or empty.
    """

    text: str = field(repr=False)
    tokens: int | None = 0
    shortened: str = ""


class ChatAsker:
    """Asks a chat handler; safe for several threads, of which as many run as the handler allows.

    Args:
        handler: a `ChatModel`.
        max_new_tokens: the most tokens of each answer.
        seed: the seed of the sampling, where torch samples.
        patience: the retries and timeouts of an endpoint.
        side_by_side: the number of threads.
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
        """Return messages that leave room for an answer, if need be with less of the first answer; None if none fit."""
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
        """Set torch's seed for an answer, so that it is the same in every run, independent of earlier questions."""
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
    if len(answers) != TURNS or not all(count is None or _is_count(count) for count in counts):
        raise _no_answers()
    return place, tuple(replace(answer, text=text) for answer, text in zip(answers, texts, strict=True))


def _is_count(value: Any) -> bool:
    return whole_number(value) and 0 <= value < _COUNTS


def _no_answers() -> HandlerError:
    return HandlerError("The model's process tells something else than answers.", "Check its handler.")


def _kept(text: str, max_new_tokens: int) -> str:
    """Return a text as it is judged: JSON may hold halves of letters, which cannot be sent on."""
    return text[: LETTERS * max_new_tokens].encode(errors="replace").decode()


def _cut(messages: Sequence[dict[str, Any]], letters: int) -> Messages:
    """Return the messages with at most so many characters of the first answer."""
    request, answer, *rest = messages
    return [request, {**answer, "content": answer["content"][:letters]}, *rest]
