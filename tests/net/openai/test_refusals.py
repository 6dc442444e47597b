"""What services say when they refuse: whose fault it is, which parameter is meant, and when to ask again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.net.openai.dialect import Dialect
from weighbridge.net.openai.refusals import error_of, refused

BODY: dict[str, Any] = {
    "messages": [],
    "max_tokens": 5,
    "temperature": 0.0,
    "top_p": 1.0,
    "stop": ["x"],
    "stream_options": {"include_usage": True},
}


def error(status: int, value: Any, **headers: str) -> HandlerError:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return refused("host", status, {name.replace("_", "-"): text for name, text in headers.items()}, content)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"error": {"message": "too hot", "type": "invalid_request_error", "param": None, "code": None}}, "too hot"),
        ([{"error": {"code": 400, "message": "API key not valid", "status": "INVALID"}}], "API key not valid"),
        ({"error": "batch size 64 > maximum allowed batch size 32", "error_type": "Validation"}, "size 64 > maximum"),
        ({"object": "error", "message": "context is 4096", "type": "BadRequestError", "code": 400}, "context is 4096"),
        ({"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}, "body.messages: Field required"),
        ({"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Extra"}]}}, "body.n: Extra"),
        ({"detail": "Not Found"}, "Not Found"),
        (b"<html>\n <b>Bad</b> gateway\xff</html>", "<b>Bad</b> gateway"),
        ({}, "{}"),
        ([], "[]"),
        (b"", ""),
    ],
)
def test_every_services_message_is_found(value: Any, message: str) -> None:
    assert message in error(400, value).problem


@pytest.mark.parametrize(
    ("status", "value", "wrong", "passes"),
    [
        (400, {"error": {"message": "context"}}, True, False),
        (413, {"error": "too many"}, True, False),
        (422, {"detail": []}, True, False),
        (401, {}, False, False),
        (404, {}, False, False),
        (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, False, True),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, False, False),
        (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, False, True),
        (529, {}, False, True),
        (524, b"timeout", False, True),
        (501, {}, False, False),
    ],
)
def test_whose_fault_it_is_and_whether_it_passes(status: int, value: Any, wrong: bool, passes: bool) -> None:
    found = error(status, value)
    assert (isinstance(found, InvalidRequest), found.facts.get("transient", False)) == (wrong, passes)


@pytest.mark.parametrize(
    ("headers", "message", "wait_s"),
    [
        ({"retry_after": "7"}, "try again in 20s", 7),
        ({"retry_after_ms": "1500", "retry_after": "2"}, "", 1.5),
        ({}, "Rate limit reached. Please try again in 1.5s. Visit", 1.5),
        ({}, "Please try again in 1m30s.", 90),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please retry after 6 seconds.", 6),
        ({}, "retry after that", None),
        ({"retry_after": "soon"}, "", None),
    ],
)
def test_when_to_ask_again(headers: dict[str, str], message: str, wait_s: float | None) -> None:
    found = error(429, {"error": {"message": message}}, **headers).facts.get("retry_after_s")
    assert found == pytest.approx(wait_s) if wait_s is not None else found is None


@pytest.mark.parametrize(
    ("value", "left_out"),
    [
        ({"error": {"message": "Unsupported parameter", "param": "max_tokens"}}, {"max_tokens"}),
        (
            {"error": {"message": "Unsupported value: 'temperature' does not support 0 with this model."}},
            {"temperature"},
        ),
        ({"error": {"message": "Unrecognized request argument supplied: stream_options"}}, {"stream_options"}),
        ({"message": {"detail": [{"loc": ["body", "stop"], "msg": "Extra inputs are not permitted"}]}}, {"stop"}),
        ({"error": "`temperature` and `top_p` cannot both be specified for this model"}, {"top_p"}),
        ({"error": {"message": "max_tokens is too large: 50000. It supports at most 16384."}}, set()),
        ({"error": {"message": "Unsupported parameter: 'messages'", "param": "messages"}}, set()),
        ({"error": {"message": "This model is not supported"}}, set()),
    ],
)
def test_a_dialect_learns_from_refusals_of_parameters_alone(value: Any, left_out: set[str]) -> None:
    dialect = Dialect()
    assert dialect.learn(error(400, value), BODY) == bool(left_out)
    assert dialect.refused == left_out
    kept = BODY.keys() - left_out | ({"max_completion_tokens"} if "max_tokens" in left_out else set())
    assert dialect.adapted(BODY).keys() == kept
    assert dialect.learn(error(400, value), BODY) == bool(left_out)  # Sent by another thread before that.
    assert not dialect.learn(error(400, value), {})


def test_errors_with_status_200() -> None:
    assert error_of({"error": {"message": "out of memory", "code": 500}}) == "out of memory"
    assert error_of({"object": "error", "message": "gone"}) == "gone"
    assert error_of({"error": None, "choices": []}) is None
    assert error_of([]) is None
