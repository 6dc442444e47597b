"""The execution of a worker's calls: each gets its answer or an error, also when the process dies.

Not here: the calls (worker), the queue (worker_line), and the messages to the process (worker_process).
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weighbridge.errors import Cancelled, HandlerError, InvalidRequest, WeighbridgeError
from weighbridge.handlers import child_process
from weighbridge.handlers.vectors import from_base64
from weighbridge.handlers.worker_line import Call, Line
from weighbridge.handlers.worker_process import WorkerProcess

_LOOK_S = 0.05


@dataclass(frozen=True)
class WorkerLimits:
    """The limits of a worker.

    Attributes:
        waiting: the most waiting calls; one more is refused as `Busy`.
        together: the most chats that are computed together; 1 for each one alone.
        call_s: the most seconds of a call, including its wait.
        load_s: the most seconds for loading the model.
        grace_s: seconds that a cancelled or late call has to end, before its process is killed.
    """

    waiting: int = 64
    together: int = 8
    call_s: float = 600.0
    load_s: float = 600.0
    grace_s: float = 5.0


#: Called with the number of a call, and its answer or error.
_Hear = Callable[[int, Mapping[str, Any]], None]


class _NotBegun(HandlerError):
    """A process has ended before it began the call."""


class Serving:
    """One model's process, and a thread that sends it one call after another; safe for several threads.

    Args:
        name: the model's name, for messages.
        model: the model for the process to load.
        limits: its limits.

    Raises:
        WeighbridgeError: the error of loading the model.

    Attributes:
        described: the process's description of the handler.
    """

    def __init__(self, name: str, model: Mapping[str, Any], limits: WorkerLimits) -> None:
        self._name, self._limits = name, limits
        self._model = _plain(model)
        self._line = Line(name, limits.waiting, limits.together)
        self._numbers = itertools.count()
        self._process: WorkerProcess | None
        self._process, self.described = self._loaded()
        self._thread = threading.Thread(target=self._serve, name=f"worker {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return how many calls wait, without the running one."""
        return len(self._line)

    @property
    def pid(self) -> int | None:
        """Return the id of the process that has the model; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    def close(self) -> None:
        """End the process after the running call; waiting and later calls are refused."""
        self._line.close()
        self._thread.join()

    def ask(self, call: Call, event: threading.Event | None, on_text: Callable[[str], None] | None = None) -> Any:
        """Add a call to the queue, and return its answer.

        Args:
            call: the call.
            event: ends it; a running `generate` has `grace_s` to return its text so far.
            on_text: called with each piece of the text.

        Raises:
            Busy: the queue of waiting calls is full.
            HandlerError: the handler fails, its process has ended, or there is no answer in time.
            Cancelled: the event was set.
        """
        if event is not None and event.is_set():
            raise Cancelled(f"The work of {self._name} was cancelled.")
        call.arguments = _plain(call.arguments)
        now = time.monotonic()
        deadline, cancelled_at = now + self._limits.call_s, None
        self._line.add(call)
        try:
            while True:
                kind, value = _next(call, deadline - now if event is None else _LOOK_S)
                now = time.monotonic()
                if kind == "value":
                    return value
                if kind == "error":
                    raise value
                if kind == "piece" and on_text is not None:
                    on_text(value)
                if now > deadline:
                    raise HandlerError(
                        f"{self._name} gave no answer within {self._limits.call_s:g} s.",
                        "Send a smaller request, or give it more time.",
                    )
                if event is not None and event.is_set():
                    cancelled_at = cancelled_at or now
                    call.given_up.set()
                    # A generated text is returned as far as it exists.
                    if not call.begun or call.name != "generate" or now > cancelled_at + self._limits.grace_s:
                        raise Cancelled(f"The work of {self._name} was cancelled.")
        finally:
            call.given_up.set()
            self._line.leave(call)

    def _serve(self) -> None:
        """Execute the calls, in a separate thread, until the queue is closed."""
        try:
            while calls := self._line.take():
                self._work(calls)
        finally:
            self._line.close()
            if self._process is not None:
                self._process.end()

    def _work(self, calls: Sequence[Call]) -> None:
        calls = [call for call in calls if not call.given_up.is_set()]
        for call in calls:
            call.begun = True
        if len(calls) > 1 and not calls[0].joined:
            self._chat(calls)
            return
        try:
            answers = self._answers(calls) if calls else []
        except WeighbridgeError as error:
            if len(calls) > 1:  # Only one of them may be at fault, so each is tried alone.
                for call in calls:
                    self._work([call])
            else:
                calls[0].fail(error)
            return
        for call, answer in zip(calls, answers, strict=True):
            call.heard.put(("value", answer))

    def _chat(self, calls: Sequence[Call]) -> None:
        """Have chats computed together; where the process dies, each that has no answer is tried alone."""
        numbers = {next(self._numbers): call for call in calls}
        waiting = dict(numbers)
        together = [
            {"id": number, "call": call.name, "arguments": call.arguments, "hears": call.hears}
            for number, call in numbers.items()
        ]

        def hear(number: int, message: Mapping[str, Any]) -> None:
            if (error := child_process.told_error(message)) is not None:
                waiting.pop(number).fail(error)
            elif "value" in message:
                waiting.pop(number).heard.put(("value", message["value"]))

        failure: WeighbridgeError | None = None
        try:
            self._ask({"together": together}, {number: [call] for number, call in numbers.items()}, hear)
        except WeighbridgeError as error:
            failure = error
        for call in waiting.values():
            if failure is not None and call.has_text:  # Another answer might go on otherwise.
                call.fail(failure)
            else:
                self._work([call])

    def _answers(self, calls: Sequence[Call]) -> list[Any]:
        """Return an answer for each of some merged calls."""
        first = calls[0]
        arguments = dict(first.arguments)
        if first.joined:
            arguments[first.joined] = [text for call in calls for text in call.arguments[first.joined]]
        value = self._answer(calls, {"call": first.name, "arguments": arguments, "hears": first.hears})
        try:
            if first.name == "embed":
                value = np.array(from_base64(value["float32"])).reshape(value["shape"])
            if not first.joined:
                return [value]
            if len(value) != len(arguments[first.joined]):
                raise wrong_answer(self._name)
            ends = list(itertools.accumulate(call.size for call in calls))
            return [value[end - call.size : end] for call, end in zip(calls, ends, strict=True)]
        except (KeyError, TypeError, ValueError) as error:
            raise wrong_answer(self._name) from error

    def _answer(self, calls: Sequence[Call], question: Mapping[str, Any]) -> Any:
        """Return the process's answer to a question of some merged calls."""
        number, answers = next(self._numbers), list[Any]()

        def hear(_: int, message: Mapping[str, Any]) -> None:
            if (error := child_process.told_error(message)) is not None:
                raise error
            answers.append(message["value"])

        self._ask({"id": number, **question}, {number: calls}, hear)
        return answers[0]

    def _ask(self, message: Mapping[str, Any], callers: Mapping[int, Sequence[Call]], hear: _Hear) -> None:
        """Send a message to the process, or to a new one where it has ended, and wait for all answers.

        Args:
            message: the message.
            callers: the calls of each number in it.
            hear: called with each number and its answer.
        """
        if self._process is not None and self._process.alive:
            try:
                return self._exchange(self._process, message, callers, hear)
            except _NotBegun:  # It has ended, but not because of these calls.
                pass
        self._drop()
        self._process, _ = self._loaded()
        return self._exchange(self._process, message, callers, hear)

    def _exchange(
        self, process: WorkerProcess, message: Mapping[str, Any], callers: Mapping[int, Sequence[Call]], hear: _Hear
    ) -> None:
        """Pass on all answers of a process; end the calls whose callers no longer wait."""
        waiting, cancelled = dict(callers), set[int]()
        begun, stopped_at = False, None
        process.send(message)
        while waiting:
            try:
                received = process.receive(_LOOK_S)
            except HandlerError as error:
                self._drop()
                raise error if begun else _NotBegun(error.problem, error.remedy, **error.facts) from error
            if received is not None and (number := received.get("id")) in waiting:
                begun = True
                if "piece" in received:
                    waiting[number][0].hear(str(received["piece"]))
                elif "value" in received or "error" in received:
                    del waiting[number]
                    hear(number, received)
            left = {number for number, calls in waiting.items() if all(call.given_up.is_set() for call in calls)}
            for number in left - cancelled:
                process.send({"cancel": number})
            cancelled |= left
            if waiting and len(left) == len(waiting):
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() > stopped_at + self._limits.grace_s:
                    self._drop()
                    raise Cancelled(f"The work of {self._name} was cancelled; its process has ended.")

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _loaded(self) -> tuple[WorkerProcess, dict[str, Any]]:
        """Return a new process that has the model, and its description of the handler."""
        try:
            process = WorkerProcess(self._name, self._model)
        except OSError as error:
            raise HandlerError(
                f"No process for {self._name} can be started: {error.strerror}.", "Look at this machine's limits."
            ) from error
        deadline = time.monotonic() + self._limits.load_s
        try:
            while (message := process.receive(_LOOK_S)) is None:
                if time.monotonic() > deadline:
                    raise HandlerError(
                        f"{self._name} was not loaded within {self._limits.load_s:g} s.", "Give it more time."
                    )
            if (told := child_process.told_error(message)) is not None:
                raise told
            return process, message["ready"]
        except BaseException:
            process.kill()
            raise


def wrong_answer(name: str) -> HandlerError:
    """Return the error for an invalid answer of a process."""
    return HandlerError(f"The process of {name} sends an invalid answer.", "Check its handler.")


def _next(call: Call, wait_s: float) -> tuple[str, Any]:
    """Return what arrives next for a call; nothing where that takes longer."""
    try:
        return call.heard.get(timeout=max(wait_s, 0))
    except queue.Empty:
        return "", None


def _plain(value: Mapping[str, Any]) -> Any:
    """Return a value as plain JSON types. Raises InvalidRequest where it has none."""
    try:
        return json.loads(json.dumps(value, default=_as_json))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            "A call has a value that JSON cannot hold.", "Send texts, numbers, lists and objects."
        ) from error


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError
