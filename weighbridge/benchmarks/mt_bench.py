"""`mt_bench`: the quality of a model's answers in two-turn conversations, judged by another model (MT-Bench).

The protocol is that of Zheng et al., “Judging LLM-as-a-judge with MT-Bench and Chatbot Arena”, 2023: 80 questions of
two turns in 8 categories, answers sampled at the temperature of their category, each answer graded from 1 to 10 by
itself, with reference answers for math, coding and reasoning where the data set has them. The judge's prompts are our
own (judge_prompts), so that scores are comparable with each other and not with published ones.

`score` is the mean over all grades, and its interval Student's t over the questions' means: the two turns of a question
belong together. A grade that the judge does not give in the required form is missing and does not count; more than
`MOST_MISSING` of them make the run fail. `limit` questions are the first of each category in turn.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar

from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.benchmarks.mt_bench_answers import TOP_P, Answer, ChatAsker, told_answers
from weighbridge.benchmarks.mt_bench_grading import SIDE_BY_SIDE, Grading
from weighbridge.benchmarks.mt_bench_questions import TEMPERATURES, Question
from weighbridge.benchmarks.patience import Patience
from weighbridge.errors import Cancelled
from weighbridge.handlers.child_process import Tell
from weighbridge.handlers.interface import Handler

_LOOK_S = 0.1


class MTBench:
    """See the module."""

    name: ClassVar[str] = "mt_bench"
    definition: ClassVar[str] = "mt_bench/2"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Ask the questions and have the answers judged, in one process, as every benchmark can.

        Runs of `benchmark` work otherwise: the model's process answers, and the one that started it grades. This is
        for a handler that is at hand and trusted, such as a test's.

        Raises:
            BenchmarkFailed: there are no questions or no judge, or the judge fails or returns too few grades.
            HandlerError, OutOfMemory: the model fails.
            Cancelled: `cancel_event` was set.
        """
        with self.grading(settings, cancel_event) as grading:
            answered = self.answer(handler, settings, grading.material, grading.hear, cancel_event)
            graded = grading.finish()
        return replace(graded, settings={**answered.settings, **graded.settings}, noisy=answered.noisy)

    def grading(self, settings: BenchmarkSettings, cancel_event: threading.Event) -> Grading:
        """Return the grading of the answers. Raises BenchmarkFailed."""
        return Grading(settings, cancel_event)

    def answer(
        self,
        handler: Handler,
        settings: BenchmarkSettings,
        material: Sequence[Mapping[str, Any]],
        tell: Tell,
        cancel_event: threading.Event,
    ) -> Measured:
        """Answer the questions of `material`, and report each question's answers at once.

        Raises:
            HandlerError, OutOfMemory: the model fails.
            Cancelled: `cancel_event` was set.
        """
        questions = [Question(one["id"], one["category"], tuple(one["turns"])) for one in material]
        answering = ChatAsker(handler, settings.answer_tokens, settings.seed, Patience(), SIDE_BY_SIDE)
        chosen = {
            "temperatures": dict(TEMPERATURES),
            "top_p": TOP_P,
            "max_new_tokens": settings.answer_tokens,
            "seed": settings.seed,
            "sampling": "seeded" if getattr(handler, "model", None) is not None else "not seeded",
        }
        answers = _answered(questions, answering, tell, cancel_event)
        return Measured((), {**chosen, **_generation(handler)}, noisy=_shortened(answers))


def _generation(handler: Any) -> dict[str, Any]:
    """Return the publisher's own settings that apply, and the parameters that a service refused."""
    own, not_taken = getattr(handler, "generation_settings", None), getattr(handler, "not_taken", None)
    facts = {} if own is None else {"generation_config": own.recorded}
    return facts | ({"not_taken": sorted(not_taken)} if not_taken else {})


def _answered(
    questions: Sequence[Question], answering: ChatAsker, tell: Tell, cancel_event: threading.Event
) -> list[Answer]:
    """Return all answers, each of which was reported; end all work when one fails or the run is cancelled."""
    stop, answers = threading.Event(), list[Answer]()
    futures: dict[Future[tuple[Answer, ...]], int] = {}
    places = iter(range(len(questions)))
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="mt_bench answers") as pool:
        try:
            while True:
                # Telling waits where grading is behind, and no more is asked meanwhile.
                for place in islice(places, SIDE_BY_SIDE - len(futures)):
                    futures[pool.submit(answering.answer, questions[place], stop)] = place
                if not futures:
                    return answers
                if cancel_event.is_set():
                    raise Cancelled("The benchmark was cancelled.")
                for future in wait(futures, _LOOK_S, FIRST_COMPLETED).done:
                    tell(told_answers(futures.pop(future), future.result()))
                    answers += future.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _shortened(answers: Sequence[Answer]) -> str:
    counts = Counter(answer.shortened for answer in answers if answer.shortened)
    return "; ".join(f"{counts[why]} of {len(answers)} conversations {why}" for why in sorted(counts))
