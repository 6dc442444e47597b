"""Grading of a model's answers to MT-Bench's questions, outside of the model's process: a judge's key is secret there.

The model's own code may run in that process, and reads all of its environment and memory. So the process gets requests
and returns answers; references, judge, key and grades are here. A program of the same user can still read this
process's environment, and the file of questions. Not here: the answers (mt_bench_answers), the judge
(judging).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Self

from weighbridge.benchmarks import mt_bench_questions
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.judging import HIGHEST, LOWEST, Judge, JudgedAnswer
from weighbridge.benchmarks.mt_bench_answers import Answer, read_answers
from weighbridge.benchmarks.mt_bench_questions import TEMPERATURES, TURNS, Question
from weighbridge.benchmarks.patience import Patience
from weighbridge.benchmarks.statistics import mean, share
from weighbridge.domain.result import Metric
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError
from weighbridge.handlers.request import whole_number

#: The largest share of missing grades.
MOST_MISSING = 0.1
#: Questions that are graded at once; a model that is faster waits.
SIDE_BY_SIDE = 4
_LOOK_S = 0.1


@dataclass(frozen=True)
class Graded:
    """One question with its answers and their grades, turn by turn."""

    question: Question
    answers: tuple[Answer, ...]
    judgements: tuple[JudgedAnswer, ...]

    @property
    def grades(self) -> list[float]:
        """Return the grades that are not missing."""
        return [judgement.grade for judgement in self.judgements if judgement.grade is not None]


class Grading:
    """Has a judge grade answers while the model writes the next ones; a context, which ends all work when it ends.

    Args:
        settings: the settings of the run.
        cancel_event: ends it.

    Raises:
        BenchmarkFailed: there are no questions or no judge.
    """

    def __init__(self, settings: BenchmarkSettings, cancel_event: threading.Event) -> None:
        self._judge = Judge.of(settings, Patience())
        questions = mt_bench_questions.load(settings.data.get("mt_bench", ""), settings.endpoint)
        self._questions = mt_bench_questions.first(questions, settings.limit)
        self._answer_tokens, self._cancel_event = settings.answer_tokens, cancel_event
        self._timeout_s, self._deadline = settings.timeout_s, time.monotonic() + settings.timeout_s
        self._futures: dict[int, Future[Graded]] = {}
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="mt_bench grading")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def material(self) -> list[dict[str, Any]]:
        """Return the questions for the model's process, without references."""
        return [{"id": one.id, "category": one.category, "turns": list(one.turns)} for one in self._questions]

    def hear(self, told: Any) -> None:
        """Grade the answers to one question; wait while many are not graded yet.

        Raises:
            BenchmarkFailed: the judge fails, gives too few grades, or takes too long.
            HandlerError: the model's process tells something else.
            Cancelled: the event was set.
        """
        place, answers = read_answers(told, self._answer_tokens)
        if not whole_number(place) or place not in range(len(self._questions)) or place in self._futures:
            raise HandlerError("The model's process tells answers to no question.", "Check its handler.")
        self._futures[place] = self._pool.submit(self._graded, self._questions[place], answers)
        self._wait(SIDE_BY_SIDE)

    def finish(self) -> Measured:
        """Return the result of all grades; wait until they are complete. Raises as `hear`."""
        if len(self._futures) < len(self._questions):
            told = f"{len(self._futures)} of {len(self._questions)} questions"
            raise HandlerError(f"The model's process answered {told}.", "Check its handler.")
        self._wait(0)
        graded = [self._futures[place].result() for place in range(len(self._questions))]
        settings = {
            "n": len(self._questions),
            "questions": mt_bench_questions.digest(self._questions),
            **self._judge.facts,
        }
        return Measured(tuple(_metrics(graded)), settings, _samples(graded))

    def _graded(self, question: Question, answers: tuple[Answer, ...]) -> Graded:
        texts = tuple(answer.text for answer in answers)
        judgements = tuple(self._judge.judge(question, texts[: turn + 1], self._stop) for turn in range(TURNS))
        return Graded(question, answers, judgements)

    def _wait(self, pending: int) -> None:
        """Wait until at most so many questions are not graded. Raises as `hear`."""
        most = TURNS * len(self._questions)
        ungraded = set(self._futures.values())
        while True:
            _, ungraded = wait(ungraded, _LOOK_S if len(ungraded) > pending else 0, FIRST_COMPLETED)
            done = [future.result() for future in self._futures.values() if future.done()]
            missing = sum(TURNS - len(one.grades) for one in done)
            if missing > MOST_MISSING * most:
                raise BenchmarkFailed(
                    f"The judge gave no grade in the required form to {missing} of at most {most} "
                    f"answers; {MOST_MISSING:.0%} may be missing.",
                    "Choose a judge that follows instructions, such as a larger one.",
                )
            if self._cancel_event.is_set():
                raise Cancelled("The benchmark was cancelled.")
            if len(ungraded) <= pending:
                return
            if time.monotonic() > self._deadline:
                raise BenchmarkFailed(
                    f"The judge had not graded all answers after {self._timeout_s:g} s.", "Give it more time."
                )


def _metrics(graded: Sequence[Graded]) -> Iterable[Metric]:
    yield _score("score", graded)
    for turn in range(TURNS):
        yield mean(f"score_turn_{turn + 1}", _of_turn(graded, turn), "points", within=(LOWEST, HIGHEST))
    for category in TEMPERATURES:
        if found := [one for one in graded if one.question.category == category]:
            yield _score(f"score/{category}", found)
    whole = TURNS * len(graded)
    yield share("grades_missing", whole - sum(len(one.grades) for one in graded), whole, "lower")


def _score(name: str, graded: Iterable[Graded]) -> Metric:
    """Return the mean of the questions' means, each of which counts once, independent of its samples."""
    found = [math.fsum(one.grades) / len(one.grades) for one in graded if one.grades]
    return mean(name, found, "points", within=(LOWEST, HIGHEST))


def _of_turn(graded: Iterable[Graded], turn: int) -> list[float]:
    found = (one.judgements[turn].grade for one in graded)
    return [grade for grade in found if grade is not None]


def _samples(graded: Sequence[Graded]) -> dict[str, list[float]]:
    """Return the values of each question, in their order; a missing one is NaN."""
    samples = {"question": [float(one.question.id) for one in graded]}
    for turn in range(TURNS):
        judged = [one.judgements[turn] for one in graded]
        samples[f"score_turn_{turn + 1}"] = [math.nan if one.grade is None else one.grade for one in judged]
        samples[f"replies_turn_{turn + 1}"] = [float(one.replies) for one in judged]
        counted = [one.answers[turn].tokens for one in graded]
        samples[f"tokens_turn_{turn + 1}"] = [math.nan if count is None else float(count) for count in counted]
    return samples
