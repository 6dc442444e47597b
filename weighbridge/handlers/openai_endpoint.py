"""A service that speaks OpenAI's REST protocol: vLLM, llama.cpp's server, OpenAI itself, or any other.

Answers come from elsewhere: they are bounded, their shape is checked, and a stream that stops in the middle is an
error. Not here: what is asked of it (upstream, benchmarks).
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import httpx
from httpx_sse import EventSource, SSEError

from weighbridge.errors import HandlerError, InvalidConfiguration

_MAX_ANSWER_SIZE = 64 * 1024**2
_MAX_EVENTS = 1_000_000


class OpenAIEndpoint:
    """One service; safe for several threads.

    Args:
        base_url: up to and with its version, `https://host/v1`.
        api_key_env: environment variable that holds the key, or empty for none.
        timeout_s: seconds without a byte after which it counts as dead.

    Raises:
        InvalidConfiguration: no such address, or an empty variable.
    """

    def __init__(self, base_url: str, api_key_env: str = "", *, timeout_s: float = 120.0) -> None:
        try:
            url = httpx.URL(base_url.rstrip("/"))
        except httpx.InvalidURL as error:
            raise InvalidConfiguration(f"“{base_url}” is no address.", "Write https://host/v1.") from error
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise InvalidConfiguration("upstream_base_url is no plain http or https address.", "Write https://host/v1.")
        key = os.environ.get(api_key_env, "").strip() if api_key_env else ""
        if api_key_env and not key:
            raise InvalidConfiguration(
                f"The environment variable {api_key_env} holds no key.", f"Set it: export {api_key_env}=…"
            )
        self.url, self.host = str(url), url.host
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s

    @cached_property
    def _client(self) -> httpx.Client:
        client = httpx.Client(headers=self._headers, timeout=self._timeout_s)
        weakref.finalize(self, client.close)
        return client

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask with JSON and return the answer's object. Raises HandlerError."""
        with self._errors():
            return self._object(self._client.post(self.url + path, json=body))

    def upload(self, path: str, fields: Mapping[str, str], name: str, content: bytes) -> dict[str, Any]:
        """Ask with a form that holds one file, `file`, and return the answer's object. Raises HandlerError."""
        with self._errors():
            return self._object(self._client.post(self.url + path, data=dict(fields), files={"file": (name, content)}))

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Ask with JSON and yield the objects of the answer's events (server-sent events, WHATWG HTML 9.2).

        Raises:
            HandlerError: it refuses, hangs, sends something else, or ends without `[DONE]`.
        """
        with self._errors(), self._client.stream("POST", self.url + path, json={**body, "stream": True}) as answer:
            self._refuse(answer)
            for number, event in enumerate(EventSource(answer).iter_sse()):
                if event.data == "[DONE]":
                    return
                if number > _MAX_EVENTS:
                    raise HandlerError(f"{self.host} sends events without an end.")
                yield self._parsed(event.data)
            raise HandlerError(
                f"{self.host} ended its answer in the middle.", "Look at its log; a proxy may cut long answers."
            )

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        self._refuse(answer)
        return self._parsed(answer.content)

    def _parsed(self, text: str | bytes) -> dict[str, Any]:
        if len(text) > _MAX_ANSWER_SIZE:
            raise HandlerError(f"{self.host} answers with more than {_MAX_ANSWER_SIZE:,} bytes.")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HandlerError(f"{self.host} answers with no JSON.", "Is this the address of its API?") from error
        if not isinstance(value, dict):
            raise HandlerError(f"{self.host} answers with no JSON object.", "Is this the address of its API?")
        if isinstance(value.get("error"), dict | str):
            said = value["error"].get("message") if isinstance(value["error"], dict) else value["error"]
            raise HandlerError(f"{self.host} refuses: {str(said)[:300]}.")
        return value

    def _refuse(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            return
        answer.read()
        said = answer.text[:300].replace("\n", " ")
        remedy = {
            401: "Check the key that upstream_api_key_env names.",
            403: "Check the key that upstream_api_key_env names.",
            404: "Check upstream_base_url and the model's name there.",
        }.get(answer.status_code, "Look at its log.")
        raise HandlerError(
            f"{self.host} answers with HTTP {answer.status_code}: {said}", remedy, http_status=answer.status_code
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise HandlerError(
                f"{self.host} sent nothing for {self._timeout_s:g} s.", "It hangs or is overloaded: look at its log."
            ) from error
        except (httpx.HTTPError, SSEError) as error:
            raise HandlerError(
                f"{self.host} could not be asked: {str(error)[:300] or type(error).__name__}.", "Check that it runs."
            ) from error
