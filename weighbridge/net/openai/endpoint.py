"""A service that speaks OpenAI's REST protocol: vLLM, llama.cpp's server, OpenAI itself, or any other.

Responses are untrusted: their size is limited, their form is checked, and a stream that stops in the middle is an
error. Errors worth retrying have the fact `transient`, and `retry_after_s` where the service names a time. Not here:
the requests (handlers.upstream, benchmarks), the meaning of refusals (refusals), and retries.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx
from httpx_sse import EventSource, SSEError

from weighbridge.domain.auth_place import AuthPlace, shown_name
from weighbridge.errors import Cancelled, HandlerError, InvalidConfiguration
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.openai.connections import Connections
from weighbridge.net.openai.refusals import error_of, refused

_MAX_ANSWER_SIZE = 64 * 1024**2
#: The most bytes of one event of a stream, and of all its events.
_MAX_EVENT_SIZE = 4 * 1024**2
_MAX_STREAM_SIZE = 1024**3
_QUOTED = 300
#: The most bytes that are read of an error response.
_MAX_ERROR_SIZE = 64 * 1024
#: Azure's keys have a header of their own, and its addresses may end with the version of its API.
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_AZURE_VERSION = re.compile(rb"api-version=[0-9A-Za-z.-]{1,40}")


class OpenAIEndpoint:
    """One service; safe for several threads.

    Args:
        base_url: the address up to and including its version, `https://host/v1`; Azure's may end with `?api-version=…`.
        api_key_env: environment variable that holds the key, or empty for none.
        timeout_s: seconds without a byte after which it counts as dead.
        addresses: where it may be; anywhere by default.

    Raises:
        InvalidConfiguration: an invalid address, or an empty variable.
    """

    def __init__(
        self,
        base_url: str,
        api_key_env: str = "",
        *,
        timeout_s: float = 120.0,
        addresses: AddressPolicy | None = None,
    ) -> None:
        try:
            url = httpx.URL(base_url.rstrip("/"))
        except httpx.InvalidURL as error:
            raise InvalidConfiguration("upstream_base_url is not a URL.", "Write https://host/v1.") from error
        versioned = _AZURE_VERSION.fullmatch(url.query) is not None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or (url.query and not versioned):
            raise InvalidConfiguration("upstream_base_url is not a plain http or https URL.", "Write https://host/v1.")
        key, place = os.environ.get(api_key_env, "").strip() if api_key_env else "", AuthPlace(token_env=api_key_env)
        if api_key_env and not key:
            raise InvalidConfiguration(
                f"The environment variable {shown_name(place)} holds no key.",
                f"Set it: export {shown_name(place)}=…; the setting is the name of a variable, not the key.",
            )
        if not key.isascii() or not key.isprintable():
            raise InvalidConfiguration(f"The value of {shown_name(place)} is not a key.", "Set it to the key alone.")
        self._query = f"?{url.query.decode()}" if versioned else ""
        self.url, self.host = str(url.copy_with(query=None)).rstrip("/"), url.host
        self._timeout_s = timeout_s
        own = {"api-key": key} if url.host.endswith(_AZURE) else {"Authorization": f"Bearer {key}"}
        self._connections = Connections(own if key else {}, timeout_s, addresses)

    def greet(self) -> None:
        """Ask which models there are, with the key; a service that has no such list is there all the same.

        Raises:
            HandlerError: it refuses, hangs, or could not be asked.
        """
        try:
            with self._asked("/models", None, method="GET") as answer:
                self._object(answer)
        except HandlerError as error:
            if error.facts.get("http_status") not in (404, 405):
                raise

    def post(self, path: str, body: Mapping[str, Any], cancel_event: threading.Event | None = None) -> dict[str, Any]:
        """Send JSON and return the response's object; a bare list, which some services return, becomes its `data`.

        Raises:
            HandlerError, Cancelled: as `stream`.
        """
        with self._asked(path, cancel_event, json=body) as answer:
            return self._object(answer)

    def upload(
        self,
        path: str,
        fields: Mapping[str, str],
        name: str,
        file: BinaryIO,
        cancel_event: threading.Event | None = None,
    ) -> dict[str, Any]:
        """Send a form with one file and return the response's object. Raises HandlerError, Cancelled."""
        with self._asked(path, cancel_event, data=dict(fields), files={"file": (name, file)}) as answer:
            return self._object(answer)

    def stream(
        self, path: str, body: Mapping[str, Any], cancel_event: threading.Event | None = None
    ) -> Iterator[dict[str, Any]]:
        """Send JSON and yield the objects of the response's events (server-sent events, WHATWG HTML 9.2).

        Raises:
            HandlerError: it refuses, hangs, sends another form or too much, or ends without `[DONE]` and without a
                `finish_reason`.
            Cancelled: `cancel_event` was set.
        """
        with self._asked(path, cancel_event, json={**body, "stream": True}) as answer:
            if answer.headers.get("content-type", "").startswith("application/json"):  # This service does not stream.
                yield self._object(answer)
                return
            answer.stream = bounded = _Bounded(self.host, answer.stream)
            answer.encoding = "utf-8"
            ended = False
            for event in EventSource(answer).iter_sse():
                bounded.since_event = 0
                if event.data == "[DONE]":
                    return
                value = self._parsed(event.data)
                ended = ended or _ends(value)
                yield value
            if ended:
                return
            raise HandlerError(
                f"{self.host} ended its response in the middle.",
                "Look at its log; a proxy may cut long responses.",
                transient=True,
            )

    def close(self) -> None:
        """Close the connections that are not in use; the next request opens a new one."""
        self._connections.close()

    @contextmanager
    def _asked(
        self, path: str, event: threading.Event | None, *, method: str = "POST", **content: Any
    ) -> Iterator[httpx.Response]:
        with (
            self._errors(event),
            self._connections.take(event) as client,
            client.stream(method, f"{self.url}{path}{self._query}", **content) as answer,
        ):
            if answer.status_code != 200:
                raise self._refused(answer)
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise HandlerError(f"{self.host} answers in an encoding that was not requested.")
            yield answer

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        return self._parsed(_start(answer, _MAX_ANSWER_SIZE + 1))

    def _parsed(self, text: str | bytes) -> dict[str, Any]:
        if len(text) > _MAX_ANSWER_SIZE:
            raise HandlerError(f"{self.host} answers with more than {_MAX_ANSWER_SIZE:,} bytes.")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HandlerError(f"{self.host} does not answer with JSON.", "Is this the address of its API?") from error
        if isinstance(value, list):
            return {"data": value}
        if not isinstance(value, dict):
            raise HandlerError(f"{self.host} does not answer with a JSON object.", "Is this the address of its API?")
        if (said := error_of(value)) is not None:
            raise HandlerError(f"{self.host} refuses: {said[:_QUOTED]}.")
        return value

    def _refused(self, answer: httpx.Response) -> HandlerError:
        return refused(self.host, answer.status_code, answer.headers, _start(answer, _MAX_ERROR_SIZE)[:_MAX_ERROR_SIZE])

    @contextmanager
    def _errors(self, event: threading.Event | None) -> Iterator[None]:
        try:
            _refuse_cancelled(self.host, event)
            yield
        except HandlerError:
            _refuse_cancelled(self.host, event)  # A closed connection may look like the end of a response.
            raise
        except httpx.ConnectTimeout as error:
            raise HandlerError(
                f"{self.host} does not answer.", "Check upstream_base_url and that it runs.", transient=True
            ) from error
        except httpx.TimeoutException as error:
            raise HandlerError(
                f"{self.host} sent nothing for {self._timeout_s:g} s.",
                "It hangs or is overloaded: look at its log.",
                transient=True,
            ) from error
        except (httpx.HTTPError, SSEError) as error:
            _refuse_cancelled(self.host, event)
            raise HandlerError(
                f"The request to {self.host} failed: {str(error)[:_QUOTED] or type(error).__name__}.",
                "Check that it runs.",
                transient=not isinstance(error, SSEError),
            ) from error


def _refuse_cancelled(host: str, event: threading.Event | None) -> None:
    if event is not None and event.is_set():
        raise Cancelled(f"The request to {host} was cancelled.")


class _Bounded(httpx.SyncByteStream):
    """The bytes of a response, up to a limit."""

    def __init__(self, host: str, stream: Any) -> None:
        self._host, self._stream = host, stream
        self.since_event = 0

    def __iter__(self) -> Iterator[bytes]:
        total = 0
        for chunk in self._stream:
            total, self.since_event = total + len(chunk), self.since_event + len(chunk)
            if total > _MAX_STREAM_SIZE or self.since_event > _MAX_EVENT_SIZE:
                raise HandlerError(f"{self._host} sends too much: {total:,} bytes.", "Look at its log.")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _ends(event: Mapping[str, Any]) -> bool:
    """Return whether an event of a chat marks the answer as complete."""
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and isinstance(first.get("finish_reason"), str)


def _start(answer: httpx.Response, size: int) -> bytes:
    """Return the beginning of a response, about `size` bytes; the rest is never received."""
    content = bytearray()
    for chunk in answer.iter_raw():
        content += chunk
        if len(content) >= size:
            break
    return bytes(content)
