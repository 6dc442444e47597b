"""A service that speaks OpenAI's REST protocol, with the ways in which real ones go wrong.

It answers with what `answer` returns for a request; `fault` makes the next answers wrong. Everything asked is kept.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Body = dict[str, Any]


def echo(body: Body) -> str:
    """Answer a chat with its last message."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else json.dumps(content)


def unsupported(name: str) -> Body:
    """Return OpenAI's refusal of a parameter."""
    instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    problem = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
    error = {"message": problem, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}
    return {"error": error}


class OpenAIService:
    """The service; a context that ends it.

    Args:
        answer: returns the text for a chat.
        key: what requests must carry, or empty.
        step_s: seconds between two pieces of a stream.
    """

    def __init__(self, answer: Callable[[Body], str] = echo, key: str = "", step_s: float = 0.0) -> None:
        self.answer, self.key, self.step_s = answer, key, step_s
        self.fault, self.flooded = "", 0
        #: What the next answers are wrong with, one after another, before `fault` counts.
        self.faults: list[str] = []
        #: What refusals say in `Retry-After`; empty for nothing.
        self.retry_after = ""
        #: The model's name as the service reports it.
        self.model = "simulated"
        #: Replaces fields of a transcript, or of a chat's choice.
        self.lie: Body = {}
        #: Parameters that are refused in OpenAI's words.
        self.not_taken: set[str] = set()
        #: Events of a stream in place of the answer's words.
        self.events: list[Body] | None = None
        #: Whether a stream ends with `[DONE]`.
        self.says_done = True
        #: Returns the status, the headers and the JSON of an answer in a form of its own, or None for the usual one.
        self.respond: Callable[[str, Body], tuple[int, dict[str, str], Any] | None] = lambda path, body: None
        self.asked: list[tuple[str, Body]] = []
        self.headers: list[dict[str, str]] = []
        self._server = _Server(self)
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def pieces(self, body: Body, fault: str) -> Iterator[Body]:
        """Yield the events of a chat, one a word."""
        if self.events is not None:
            yield from self.events
            return
        text, most = self.answer(body), body.get("max_tokens") or body["max_completion_tokens"]
        words = [word + " " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        words = words[:most]
        for word in words:
            yield {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        if fault == "no reason":
            return
        cut = len(words) == most
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "length" if cut else "stop"}]}
        completion = {"usage lies": 10**9, "usage is text": "many", "usage is nothing": 0}.get(fault, len(words))
        prompt = sum(len(str(message["content"]).split()) for message in body["messages"])
        yield {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: OpenAIService) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None: ...

    def do_POST(self) -> None:
        service = self.server.service
        content = self.rfile.read(int(self.headers["content-length"]))
        json_ = self.headers["content-type"].startswith("application/json")
        body: Body = json.loads(content) if json_ else {"form": content}
        service.asked.append((self.path, body))
        service.headers.append(dict(self.headers))
        self.fault = service.faults.pop(0) if service.faults else service.fault
        if service.key and self.headers.get("authorization") != f"Bearer {service.key}":
            self._send(401, b'{"error": {"message": "no such key"}}')
        elif refused := sorted(service.not_taken & body.keys()):
            self._send(400, json.dumps(unsupported(refused[0])).encode())
        elif own := service.respond(self.path, body):
            self._send(own[0], json.dumps(own[2]).encode(), headers=own[1])
        elif self.fault == "hang":
            service.ended.wait(30)
        elif self.fault in ("400", "500", "429"):
            self._send(int(self.fault), b"overloaded")
        elif self.fault.startswith("gigabytes"):
            self._flood(self.fault.removeprefix("gigabytes of "))
        elif self.fault == "closes":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"data": [')
            self.close_connection = True
        elif self.fault == "gzip":
            self._send(200, b"\x1f\x8b", "application/json", "gzip")
        elif self.fault == "html":
            self._send(200, b"<html>", "text/html")
        elif body.get("stream"):
            self._stream(body)
        else:
            self._send(200, json.dumps(self._answer(body)).encode())

    def _stream(self, body: Body) -> None:
        service = self.server.service
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number, event in enumerate(service.pieces(body, self.fault)):
            if self.fault == "half" and number == 2:
                return
            if self.fault == "hang within" and number == 2:
                service.ended.wait(30)
                return
            if self.fault == "not json" and number == 1:
                self.wfile.write(b"data: {oops\n\n")
                continue
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            if service.step_s:
                time.sleep(service.step_s)
        if service.says_done:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _flood(self, what: str) -> None:
        """Send until nobody listens any more, gigabytes at most."""
        service = self.server.service
        failing = what == "error"
        self.send_response(500 if failing else 200)
        self.send_header(
            "Content-Type", "text/event-stream" if what in ("text", "lines", "line") else "application/json"
        )
        self.end_headers()
        piece = {"choices": [{"delta": {"content": "x" * 10_000}}]}
        event = f"data: {json.dumps(piece)}\n\n".encode() if what == "text" else b""
        chunk = event * 8 or {"lines": b"data: x\n" * 10_000}.get(what, b"x" * 100_000)
        try:
            for _ in range(3 * 1024**3 // len(chunk)):
                self.wfile.write(chunk)
                service.flooded += len(chunk)
        except OSError:
            self.close_connection = True

    def _answer(self, body: Body) -> Body:
        service = self.server.service
        wrong = self.fault == "wrong shape"
        if self.path.endswith("/embeddings"):
            texts = body["input"]
            data = [{"index": n, "embedding": [float(len(text)), 1.0]} for n, text in enumerate(texts)]
            usage = {"prompt_tokens": -1 if self.fault == "usage lies" else len(" ".join(texts))}
            return {"data": data[1:] if wrong else data[::-1], "usage": usage}
        if self.path.endswith("/rerank"):
            scores = [
                {"index": n, "relevance_score": float(text.count(body["query"]))}
                for n, text in enumerate(body["documents"])
            ]
            return {"results": scores[1:] if wrong else scores}
        if "/audio/" in self.path:
            words = [{"word": "hi", "start": 0.0, "end": 0.5}]
            return {"text": "hi", "language": "en", "duration": 0.5, "words": words} | service.lie
        text = service.answer(body)
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"model": service.model, "choices": [] if wrong else [choice | service.lie]}

    def _send(
        self,
        status: int,
        content: bytes,
        kind: str = "application/json",
        encoding: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        if status != 200 and self.server.service.retry_after:
            self.send_header("Retry-After", self.server.service.retry_after)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
