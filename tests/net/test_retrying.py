"""Asking again, for a source that is unavailable: how often, after how long, and until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.simulators.web import Page, WebServer
from weighbridge.errors import Cancelled, ModelNotFound, SourceUnavailable
from weighbridge.net.retrying import BUSY, Retrying
from weighbridge.net.transfer import Transfer

PAUSE = Retrying.pause


def failing(times: int, **facts: object) -> Callable[[], str]:
    left = [SourceUnavailable("away", **facts) for _ in range(times)]

    def ask() -> str:
        if left:
            raise left.pop()
        return "here"

    return ask


def test_waits_grow_and_end_with_the_attempts(waited: list[float]) -> None:
    assert Retrying().call(failing(3)) == "here"
    assert waited == [0.5, 1.0, 2.0]
    with pytest.raises(SourceUnavailable) as error:
        Retrying(attempts=3).call(failing(3))
    assert error.value.facts["attempts"] == 3
    assert waited == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_the_server_says_how_long_to_wait_and_nobody_waits_for_hours(waited: list[float]) -> None:
    assert Retrying().call(failing(1, retry_after_s=0.0)) == "here"
    assert Retrying().call(failing(1, retry_after_s=60.0)) == "here"
    with pytest.raises(SourceUnavailable):
        Retrying().call(failing(1, retry_after_s=61.0))
    assert waited == [0.0, 60.0]


def test_attempts_below_count_above(waited: list[float]) -> None:
    inner = failing(100)
    with pytest.raises(SourceUnavailable):
        Retrying().call(lambda: Retrying().call(inner))
    assert len(waited) == 3


def test_other_errors_are_raised_at_once(waited: list[float]) -> None:
    def ask() -> str:
        raise ModelNotFound("gone")

    with pytest.raises(ModelNotFound):
        Retrying().call(ask)
    assert waited == []


def test_a_wait_in_another_thread_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retrying, "pause", PAUSE)
    retrying, ended = Retrying(first_wait_s=50), []

    def wait() -> None:
        with pytest.raises(Cancelled):
            retrying.call(failing(9))
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    retrying.stopped.set()
    thread.join(timeout=30)
    assert ended == [True]


class TestQuestions:
    @pytest.mark.parametrize("status", sorted(BUSY))
    def test_one_failure_that_passes_ends_nothing(self, status: int, waited: list[float]) -> None:
        transfer = Transfer(timeout_s=10, max_redirects=3)
        with WebServer() as web:
            url = web.put("/f", b"content")
            web.pages["/f"] = Page(status=status, headers={"Retry-After": "2"}, next=web.pages["/f"])
            assert transfer.read(url, accept="*/*").content == b"content"
            moment = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
            web.pages["/f"] = Page(status=status, headers={"Retry-After": moment}, next=web.pages["/f"])
            assert transfer.read(url, accept="*/*").content == b"content"
        assert waited[0] == 2
        assert 0 < waited[1] <= 20

    def test_a_connection_that_is_cut_is_made_again(self) -> None:
        transfer = Transfer(timeout_s=10, max_redirects=3)
        with WebServer() as web:
            url = web.put("/f", b"content")
            web.pages["/f"] = Page(b"content", cut_after=3, next=web.pages["/f"])
            assert transfer.read(url, accept="*/*").content == b"content"
            assert len(web.requests) == 2

    def test_a_rate_limit_that_is_used_up_says_when_to_ask_again(self, waited: list[float]) -> None:
        transfer = Transfer(timeout_s=10, max_redirects=3)
        with WebServer() as web:
            url = web.put("/f", b"content")
            limit = {"RateLimit": '"api";r=0;t=33'}
            web.pages["/f"] = Page(status=429, headers=limit, next=web.pages["/f"])
            assert transfer.read(url, accept="*/*").content == b"content"
        assert waited == [33.0]
