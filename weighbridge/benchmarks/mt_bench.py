"""`mt_bench`: how good a model's answers are in two-turn conversations, as another model judges them (MT-Bench).

The protocol is that of Zheng et al., “Judging LLM-as-a-judge with MT-Bench and Chatbot Arena”, 2023: 80 questions of
two turns in 8 categories, answers sampled at the temperature of their category, each answer graded from 1 to 10 by
itself, with reference answers for math, coding and reasoning where the data set has them. The judge's prompts are our
own (judge_prompts), so that scores are comparable with each other and not with published ones.

`score` is the mean over all grades, and its interval Student's t over the questions' means: the two turns of a question
belong together. A grade that the judge does not give in the form it is asked for is missing, and counts for nothing;
more than `MOST_MISSING` of them make the run fail. `limit` questions are the first of each category in turn.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, ClassVar

from weighbridge.benchmarks import mt_bench_questions
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.judging import HIGHEST, LOWEST, Judge, Judgement
from weighbridge.benchmarks.mt_bench_answers import TOP_P, Answer, Answering
from weighbridge.benchmarks.mt_bench_questions import TEMPERATURES, TURNS, Question
from weighbridge.benchmarks.patience import Patience
from weighbridge.benchmarks.statistics import mean, share
from weighbridge.domain.result import Metric
from weighbridge.errors import BenchmarkFailed, Cancelled
from weighbridge.handlers.interface import Handler

#: Share of grades that may be missing.
MOST_MISSING = 0.1
#: Questions at once: while the model answers one, the judge grades the others.
SIDE_BY_SIDE = 4
_LOOK_S = 0.1


@dataclass(frozen=True)
class Graded:
    """One question with what was answered and how that was graded, turn by turn."""

    question: Question
    answers: tuple[Answer, ...]
    judgements: tuple[Judgement, ...]

    @property
    def grades(self) -> list[float]:
        """Those that the judge gave."""
        return [found.grade for found in self.judgements if found.grade is not None]


class MTBench:
    """See the module."""

    name: ClassVar[str] = "mt_bench"
    definition: ClassVar[str] = "mt_bench/1"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Ask the questions and have the answers judged.

        Raises:
            BenchmarkFailed: there are no questions or no judge, or the judge fails or gives too few grades.
            HandlerError, OutOfMemory: the model fails.
            Cancelled: `cancel_event` was set.
        """
        judge = Judge.of(settings, Patience())
        all_ = mt_bench_questions.load(settings.data.get(self.name, ""), settings.endpoint)
        questions = mt_bench_questions.first(all_, settings.limit)
        answering = Answering(handler, settings.answer_tokens, settings.seed, Patience(), SIDE_BY_SIDE)
        graded = _worked(questions, answering, judge, cancel_event)
        chosen = {
            "n": len(questions),
            "questions": mt_bench_questions.digest(questions),
            "temperatures": dict(TEMPERATURES),
            "top_p": TOP_P,
            "max_new_tokens": settings.answer_tokens,
            "seed": settings.seed,
            "sampling": "seeded" if getattr(handler, "model", None) is not None else "not seeded",
            **_generation(handler),
            **judge.facts,
        }
        return Measured(tuple(_metrics(graded)), chosen, _samples(graded), _shortened(graded))


def _generation(handler: Any) -> dict[str, Any]:
    """Return what counts of the publisher's own settings, and what a service turned out not to take."""
    own, not_taken = getattr(handler, "generation_settings", None), getattr(handler, "not_taken", None)
    facts = {} if own is None else {"generation_config": own.recorded}
    return facts | ({"not_taken": sorted(not_taken)} if not_taken else {})


def _worked(
    questions: Sequence[Question], answering: Answering, judge: Judge, cancel_event: threading.Event
) -> list[Graded]:
    """Return every question graded, in their order; ends all work when one fails or nobody wants it any more."""
    stop = threading.Event()

    def work(question: Question) -> Graded:
        answers = answering.answer(question, stop)
        texts = tuple(answer.text for answer in answers)
        judgements = tuple(judge.judge(question, texts[: turn + 1], stop) for turn in range(TURNS))
        return Graded(question, answers, judgements)

    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="mt_bench") as pool:
        futures = [pool.submit(work, question) for question in questions]
        try:
            _await(futures, cancel_event)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return [future.result() for future in futures]


def _await(futures: Sequence[Future[Graded]], cancel_event: threading.Event) -> None:
    """Wait for all. Raises what the first failure raised, BenchmarkFailed for too few grades, or Cancelled."""
    pending, missing = set(futures), 0
    while pending:
        if cancel_event.is_set():
            raise Cancelled("The benchmark was cancelled.")
        done, pending = wait(pending, _LOOK_S, FIRST_COMPLETED)
        for future in done:
            missing += TURNS - len(future.result().grades)
        if missing > MOST_MISSING * TURNS * len(futures):
            raise BenchmarkFailed(
                f"The judge gave no grade in the form that it was asked for to {missing} of at most "
                f"{TURNS * len(futures)} answers; {MOST_MISSING:.0%} may be missing.",
                "Choose a judge that follows instructions, such as a larger one.",
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
    """Return the mean of the questions' means, each of which counts once, however many samples it is."""
    found = [math.fsum(one.grades) / len(one.grades) for one in graded if one.grades]
    return mean(name, found, "points", within=(LOWEST, HIGHEST))


def _of_turn(graded: Iterable[Graded], turn: int) -> list[float]:
    found = (one.judgements[turn].grade for one in graded)
    return [grade for grade in found if grade is not None]


def _samples(graded: Sequence[Graded]) -> dict[str, list[float]]:
    """Return what was found of each question, in their order; what is missing is NaN."""
    samples = {"question": [float(one.question.id) for one in graded]}
    for turn in range(TURNS):
        judged = [one.judgements[turn] for one in graded]
        samples[f"score_turn_{turn + 1}"] = [math.nan if one.grade is None else one.grade for one in judged]
        samples[f"replies_turn_{turn + 1}"] = [float(one.replies) for one in judged]
        counted = [one.answers[turn].tokens for one in graded]
        samples[f"tokens_turn_{turn + 1}"] = [math.nan if count is None else float(count) for count in counted]
    return samples


def _shortened(graded: Sequence[Graded]) -> str:
    told = [answer.shortened for one in graded for answer in one.answers if answer.shortened]
    counts = {reason: told.count(reason) for reason in sorted(set(told))}
    return "; ".join(f"{count} of {TURNS * len(graded)} conversations {reason}" for reason, count in counts.items())
