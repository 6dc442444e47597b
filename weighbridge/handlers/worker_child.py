"""The child process of a worker: loads a model once, then executes one call after another.

Each message is a line of JSON. It receives the model, then calls `{"id", "call", "arguments", "hears"}`, chats to
compute together, `{"together": [call, …]}`, and cancellations, `{"cancel": id}`; it sends `{"ready": …}`, for each call
`{"id"}` when it begins, pieces of its text, `{"id", "piece"}`, and its answer, `{"id", "value"}`, or an error. Not
here: the other end (worker_process).
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from weighbridge.errors import HandlerError, InvalidRequest, WeighbridgeError
from weighbridge.handlers import child_process
from weighbridge.handlers.interface import ATTRIBUTES, ChatGeneration, ChatRequest
from weighbridge.handlers.loading import opened
from weighbridge.handlers.request import check_taken
from weighbridge.handlers.vectors import as_base64

#: Attributes of a worker's handler besides those of every handler; some handlers lack some of them.
DESCRIBED = ("name", "device", "capabilities", "dim", "max_tokens", "context_length")


class _Calls:
    """The calls of a handler, by name."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def embed(self, event: threading.Event, _: Any, *, texts: list[str], **options: Any) -> dict[str, Any]:
        vectors = self._ask("embed", texts, cancel_event=event, **options)
        return {"shape": list(vectors.shape), "float32": as_base64(vectors)}

    def score(self, event: threading.Event, _: Any, *, pairs: Sequence[Sequence[str]]) -> list[float]:
        return list(self._handler.score([(query, document) for query, document in pairs], cancel_event=event))

    def rerank(self, event: threading.Event, _: Any, *, query: str, documents: list[str]) -> list[float]:
        found = self._handler.rerank(query, documents, cancel_event=event)
        scores = {one.index: float(one.score) for one in found}
        return [scores[index] for index in range(len(documents))]

    def generate(
        self,
        event: threading.Event,
        hear: Callable[[str], None] | None,
        *,
        messages: list[dict[str, Any]],
        **options: Any,
    ) -> dict[str, Any]:
        if hear is not None and hasattr(self._handler, "stream"):
            return asdict(self._ask("stream", messages, cancel_event=event, on_text=hear, **options))
        found = self._ask("generate", messages, cancel_event=event, **options)
        if hear is not None and found.text:
            hear(found.text)
        return asdict(found)

    def generate_many(
        self, requests: Sequence[ChatRequest], on_answer: Callable[[int, ChatGeneration | WeighbridgeError], None]
    ) -> None:
        self._handler.generate_many(requests, on_answer)

    def transcribe(self, event: threading.Event, _: Any, *, audio_path: str, **options: Any) -> dict[str, Any]:
        return asdict(self._ask("transcribe", audio_path, cancel_event=event, **options))

    def count_tokens(self, _: threading.Event, __: Any, *, counted: list[Any], **options: Any) -> int:
        return int(self._ask("count_tokens", counted, **options))

    def count_cut(self, _: threading.Event, __: Any, *, counted: list[Any]) -> int:
        return int(self._ask("count_cut", *counted))

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the handler. Raises InvalidRequest for an option that it does not take."""
        ask = getattr(self._handler, method, None)
        if ask is None:
            raise InvalidRequest(f"{self._handler.name} has no {method}.", "Use one of its capabilities.")
        check_taken(self._handler.name, ask, options)
        return ask(*arguments, **options)


def main() -> None:
    """Load the model named on stdin, and execute calls until stdin ends."""
    with child_process.taken_stdout() as answers_to:
        lines = _Lines(answers_to)
        try:
            model = json.loads(sys.stdin.readline())
            with opened(model["handler"], model["model"], device=model["device"], **model["options"]) as handler:
                lines.write({"ready": _described(handler)})
                _Work(_Calls(handler), lines).run()
        except WeighbridgeError as error:
            lines.write(child_process.as_json(error))


class _Work:
    """Executes one call after another, or several chats together.

    Args:
        calls: the handler.
        lines: to the parent.
    """

    def __init__(self, calls: _Calls, lines: _Lines) -> None:
        self._calls, self._lines = calls, lines
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._events: dict[int, threading.Event] = {}

    def run(self) -> None:
        """Work until stdin ends."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        while (message := self._waiting.get()) is not None:
            if "together" in message:
                self._together(message["together"])
            else:
                self._begin(message)
                self._alone(message)

    def _listen(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "cancel" in message:
                if (event := self._events.get(message["cancel"])) is not None:
                    event.set()
            else:
                for call in message.get("together", [message]):
                    self._events[call["id"]] = threading.Event()
                self._waiting.put(message)
        self._waiting.put(None)

    def _begin(self, call: Mapping[str, Any]) -> None:
        self._lines.write({"id": call["id"]})  # From here on, a crash belongs to this call.

    def _alone(self, call: Mapping[str, Any]) -> None:
        method, event = getattr(self._calls, call["call"]), self._events[call["id"]]
        self._end(call, _answered(method, event, self._hear(call), call["arguments"]))

    def _together(self, calls: Sequence[Mapping[str, Any]]) -> None:
        """Execute chats together; each answer is sent as soon as it is there."""
        open_calls, heard = dict(enumerate(calls)), set[int]()

        def request(place: int, call: Mapping[str, Any]) -> ChatRequest:
            hear = self._hear(call)

            def on_text(piece: str) -> None:
                heard.add(place)
                if hear:
                    hear(piece)

            options = {name: value for name, value in call["arguments"].items() if name != "messages"}
            event = self._events[call["id"]]
            return ChatRequest(call["arguments"]["messages"], options, event, on_text if hear else None)

        def on_answer(place: int, answer: ChatGeneration | WeighbridgeError) -> None:
            told = child_process.as_json(answer) if isinstance(answer, WeighbridgeError) else {"value": asdict(answer)}
            self._end(open_calls.pop(place), told)

        for call in calls:
            self._begin(call)
        requests = [request(place, call) for place, call in open_calls.items()]
        failure = _answered(lambda *_: self._calls.generate_many(requests, on_answer), None, None, {})
        for place, call in open_calls.items():  # It failed as a whole: only one of them may be at fault.
            if place in heard:
                self._end(call, failure)
            else:
                self._alone(call)

    def _hear(self, call: Mapping[str, Any]) -> Callable[[str], None] | None:
        if not call["hears"]:
            return None
        return lambda piece: self._lines.write({"id": call["id"], "piece": piece})

    def _end(self, call: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        del self._events[call["id"]]
        self._lines.write({"id": call["id"], **answer})


def _answered(
    call: Callable[..., Any],
    event: threading.Event | None,
    hear: Callable[[str], None] | None,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    try:
        return {"value": call(event, hear, **arguments)}
    except WeighbridgeError as error:
        return child_process.as_json(error)
    except Exception as error:  # noqa: BLE001 (a user's handler may raise anything, and the next call has its turn)
        problem = f"The handler fails: {type(error).__name__}: {str(error)[:300]}."
        return child_process.as_json(HandlerError(problem, "Correct it, or change the request."))


class _Lines:
    """Messages to the parent, a line each; safe for several threads."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._lock = file, threading.Lock()

    def write(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


def _described(handler: Any) -> dict[str, Any]:
    known = {name: getattr(handler, name) for name in (*DESCRIBED, *ATTRIBUTES) if hasattr(handler, name)}
    methods = [name for name in ("score", "count_cut", "stream") if callable(getattr(handler, name, None))]
    methods += ["generate_many"] if _generates_many(handler) else []
    return {**known, "capabilities": list(known["capabilities"]), "device": str(handler.device), "methods": methods}


def _generates_many(handler: Any) -> bool:
    """Return whether a handler has a `generate_many` that does what its `generate` and `stream` do.

    A class that inherits it, and changes these, would be asked past its own methods.
    """

    def owner(name: str) -> int:
        places = [place for place, kind in enumerate(type(handler).__mro__) if name in vars(kind)]
        return min(places, default=len(type(handler).__mro__))

    return callable(getattr(handler, "generate_many", None)) and owner("generate_many") <= min(
        owner("generate"), owner("stream")
    )


if __name__ == "__main__":
    main()
