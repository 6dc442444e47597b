"""The content of a service's error response: the message, the parameter that it concerns, and when to retry.

Services have forms of their own: OpenAI's and Azure's `error`, Google's list of one, TEI's and Ollama's text, vLLM's
older object, Mistral's and FastAPI's `detail`. Not here: sending (endpoint), and the reaction (dialect).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.net.responses import retry_after_s
from weighbridge.net.retrying import BUSY

_QUOTED = 300
#: Statuses that blame the request: its form, its length, or its content.
_WRONG = frozenset({400, 413, 422})
#: Codes of refusals that look like those of a busy service but are permanent.
_LASTING = frozenset({"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"})
_AGAIN = re.compile(r"(?:try again|retry)\s+(?:in|after)\s+((?:\d+(?:\.\d+)?\s*(?:ms|h|m|s)[a-z]*\s*)+)", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_REMEDIES = {
    401: "Check the key that upstream_api_key_env names.",
    403: "Check the key that upstream_api_key_env names.",
    404: "Check upstream_base_url and the model's name there.",
    429: "Try again later, or send fewer requests.",
}


def refused(host: str, status: int, headers: Mapping[str, str], content: bytes) -> HandlerError:
    """Return the error for a response that is not 200; InvalidRequest where the request is to blame.

    Its facts: `http_status`, `param` and `code` where the service names them, `transient` where a retry may succeed,
    and `retry_after_s` where the service names a time.
    """
    message, code, param = _said(content)
    facts: dict[str, Any] = (
        {"http_status": status} | ({"code": code} if code else {}) | ({"param": param} if param else {})
    )
    if status in BUSY and code not in _LASTING:
        wait_s = _wait_s(headers, message)
        facts |= {"transient": True} | ({} if wait_s is None else {"retry_after_s": wait_s})
    said = f"{host} answers with HTTP {status}: {message[:_QUOTED]}"
    said = said if said.endswith((".", "!", "?")) else f"{said}."
    if status in _WRONG:
        return InvalidRequest(said, "Change the request.", **facts)
    return HandlerError(said, _REMEDIES.get(status, "Look at its log."), **facts)


def error_of(value: Any) -> str | None:
    """Return the message of an error in the middle of a stream, or with HTTP 200; None for other values."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("error"), dict | str) or value.get("object") == "error":
        return _of_object(value)[0]
    return None


def _said(content: bytes) -> tuple[str, str, str]:
    """Return an error response's message, code and parameter; missing ones are empty."""
    plain = " ".join(content.decode(errors="replace").split())
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return plain, "", ""
    value = value[0] if isinstance(value, list) and value else value
    return _of_object(value) if isinstance(value, dict) else (plain, "", "")


def _of_object(value: dict[str, Any]) -> tuple[str, str, str]:
    error = value.get("error", value)
    if not isinstance(error, dict):
        return str(error), str(value.get("error_type") or ""), ""
    message, code = error.get("message") or error.get("detail") or error, error.get("code") or error.get("type") or ""
    inner = message.get("detail") if isinstance(message, dict) else message
    param = str(error.get("param") or "")
    if isinstance(inner, list):  # pydantic's: [{"loc": ["body", "stop"], "msg": …}]
        parts = [part for part in inner if isinstance(part, dict)]
        places = [part["loc"] for part in parts if isinstance(part.get("loc"), list) and part["loc"]]
        param = str(places[0][-1]) if places else param
        message = "; ".join(f"{'.'.join(map(str, part.get('loc', ())))}: {part.get('msg')}" for part in parts)
    text = message if isinstance(message, str) else json.dumps(message)
    return " ".join(text.split()), str(code), param


def _wait_s(headers: Mapping[str, str], message: str) -> float | None:
    for found in _waits(headers, message):
        if found is not None:
            return found
    return None


def _waits(headers: Mapping[str, str], message: str) -> Iterator[float | None]:
    exact = re.fullmatch(r"\d{1,9}(\.\d+)?", headers.get("retry-after-ms", "").strip())
    yield float(exact.group()) / 1000 if exact else None
    yield retry_after_s(headers.get("retry-after", ""))
    said = _AGAIN.search(message)
    yield sum(float(count) * _SECONDS[unit.lower()] for count, unit in _TIME.findall(said.group(1))) if said else None
