"""A judge: a chat model at an OpenAI-compatible endpoint that grades single answers from 1 to 10.

Only the last line of its own reply is a verdict; a quotation before that, or a truncated reply, is not. A reply without
a verdict is requested once more. Not here: the prompts (judge_prompts).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from weighbridge.benchmarks import judge_prompts
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.mt_bench_questions import Question
from weighbridge.benchmarks.patience import Patience
from weighbridge.errors import BenchmarkFailed, HandlerError, SourceError, UsageError
from weighbridge.net.openai.chat_answers import ChatAnswer, NoChatAnswer
from weighbridge.net.openai.dialect import Dialect
from weighbridge.net.openai.endpoint import OpenAIEndpoint

LOWEST, HIGHEST = 1.0, 10.0
#: The most replies of one judgement.
REPLIES = 2
MAX_TOKENS = 2048
#: The limit of services that count a judge's reasoning.
MAX_THINKING_TOKENS = 16_384
TEMPERATURE = 0.0
_LINE = re.compile(r"[*_\s]*(?:[A-Za-z ]{1,24}:)?[*_\s]*\[\[\s*([0-9]{1,2}(?:\.[0-9]{1,2})?)\s*\]\][*_.\s]*")
_LONGEST_LINE = 80
#: The most characters of a reply that is sent back with the reminder; longer ones are left out.
_MAX_ECHOED = 16_384
_MAX_NAME = 200
_REMEDIES = {
    401: "Check the key that judge_key_env names.",
    403: "Check the key that judge_key_env names.",
    404: "Check judge_url and judge_model.",
}


@dataclass(frozen=True)
class JudgedAnswer:
    """A judge's grade of one answer.

    Attributes:
        grade: 1 to 10, or None where no reply had a verdict.
        replies: the number of replies.
    """

    grade: float | None
    replies: int


class Judge:
    """A chat model at an endpoint; safe for several threads.

    Args:
        endpoint: the endpoint.
        model: its name there.
        patience: the retries and timeouts.
    """

    def __init__(self, endpoint: OpenAIEndpoint, model: str, patience: Patience) -> None:
        self._endpoint, self._model, self._patience = endpoint, model, patience
        self._dialect = Dialect()
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: BenchmarkSettings, patience: Patience) -> Self:
        """Return the judge of the settings. Raises BenchmarkFailed where they name no valid one."""
        if not settings.judge_url or not settings.judge_model:
            raise BenchmarkFailed(
                "No judge is named.", "Name an OpenAI-compatible endpoint and its model: judge_url and judge_model."
            )
        limits: dict[str, Any] = {"timeout_s": patience.timeout_s, "addresses": settings.judge_addresses}
        try:
            endpoint = OpenAIEndpoint(settings.judge_url, settings.judge_key_env, **limits)
            if settings.judge_addresses is not None:
                settings.judge_addresses.check(settings.judge_url)
        except (UsageError, SourceError) as error:
            problem = error.problem.replace("upstream_base_url", "judge_url")
            raise BenchmarkFailed(f"The judge cannot be used: {problem}", error.remedy) from error
        return cls(endpoint, settings.judge_model, patience)

    @property
    def facts(self) -> dict[str, Any]:
        """Return the judge and its options for a result's settings; complete after all judgements."""
        return {
            "judge": self._model,
            "judge_reported": sorted(self._reported),
            "judge_host": self._endpoint.host,
            "judge_prompt": judge_prompts.VERSION,
            "judge_prompt_digest": judge_prompts.digest(),
            "judge_temperature": "the service's own" if "temperature" in self._dialect.refused else TEMPERATURE,
            "judge_max_tokens": self._max_tokens,
            "judge_replies": REPLIES,
        }

    @property
    def _max_tokens(self) -> int:
        return MAX_THINKING_TOKENS if "max_tokens" in self._dialect.refused else MAX_TOKENS

    def judge(self, question: Question, answers: tuple[str, ...], stop: threading.Event) -> JudgedAnswer:
        """Return the judge's grade for the last of these answers.

        Raises:
            BenchmarkFailed: the judge does not answer, or not as a chat.
            Cancelled: `stop` was set.
        """
        messages = [{"role": "user", "content": judge_prompts.prompt(question, answers)}]
        for number in range(1, REPLIES + 1):
            reply, whole = self._ask(messages, stop)
            grade = verdict(reply) if whole else None
            if grade is not None:
                return JudgedAnswer(grade, number)
            said = [{"role": "assistant", "content": reply}] if 0 < len(reply) <= _MAX_ECHOED else []
            reminder = judge_prompts.REMINDER.format(turn=len(answers))
            if said:
                messages = [messages[0], *said, {"role": "user", "content": reminder}]
            else:
                messages = [{"role": "user", "content": f"{messages[0]['content']}\n{reminder}"}]
        return JudgedAnswer(None, REPLIES)

    def _ask(self, messages: Sequence[Mapping[str, str]], stop: threading.Event) -> tuple[str, bool]:
        """Return a reply, and whether it is complete."""
        answer = ChatAnswer()
        try:
            answer.add(self._patience.ask(lambda: self._post(messages, stop), stop))
        except (HandlerError, SourceError) as error:  # SourceError is raised when its name resolves elsewhere by now.
            own = error.remedy.replace("upstream_base_url", "judge_url")
            remedy = _REMEDIES.get(error.facts.get("http_status", 0), own)
            raise BenchmarkFailed(f"The judge fails: {error.problem}", remedy) from error
        except NoChatAnswer as error:
            raise self._misfit() from error
        if not answer.begun:
            raise self._misfit()
        self._note(answer.model)
        # Half surrogate pairs, which JSON may have, cannot be sent back.
        text = answer.text.encode(errors="replace").decode()
        return text, answer.finish_reason not in ("length", "content_filter")

    def _post(self, messages: Sequence[Mapping[str, str]], stop: threading.Event) -> dict[str, Any]:
        while True:
            sampling = {"max_tokens": self._max_tokens, "temperature": TEMPERATURE}
            body = self._dialect.adapted({"model": self._model, "messages": messages, **sampling})
            try:
                return self._endpoint.post("/chat/completions", body, stop)
            except HandlerError as error:
                if not self._dialect.learn(error, body):
                    raise

    def _misfit(self) -> BenchmarkFailed:
        return BenchmarkFailed(
            f"The judge at {self._endpoint.host} does not answer as a chat.", "Check judge_url and judge_model."
        )

    def _note(self, name: str) -> None:
        with self._lock:
            if name and name.isprintable():
                self._reported.add(name[:_MAX_NAME])


def verdict(reply: str) -> float | None:
    """Return the grade at the end of a reply, `[[7]]` alone in its last line, 1 to 10; or None."""
    lines = [line for line in reply.splitlines() if line.strip()]
    found = _LINE.fullmatch(lines[-1]) if lines and len(lines[-1]) <= _LONGEST_LINE else None
    grade = float(found.group(1)) if found else 0.0
    return grade if LOWEST <= grade <= HIGHEST else None
