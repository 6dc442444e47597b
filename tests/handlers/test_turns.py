"""Whose turn it is at a model: the order of coming counts, and who goes leaves no gap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from weighbridge.errors import Cancelled
from weighbridge.handlers.turns import Turns


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.001)


def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    turns, served = Turns(), []

    def work(number: int) -> None:
        with turns.take("m", threading.Event() if number % 2 else None):
            served.append(number)

    with ThreadPoolExecutor(20) as pool, turns.take("m", None):
        waiting = []
        for number in range(20):
            waiting.append(pool.submit(work, number))
            until(lambda count=number + 1: turns.waiting == count)
    assert all(one.result() is None for one in waiting)
    assert (served, turns.waiting) == (list(range(20)), 0)


def test_one_at_a_time_whatever_fails_or_is_cancelled() -> None:
    turns, inside, most = Turns(), [], []
    events = [threading.Event() for _ in range(40)]

    def work(number: int) -> None:
        with turns.take("m", events[number]):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)
            if number % 5 == 0:
                raise ValueError

    with ThreadPoolExecutor(40) as pool, turns.take("m", None):
        asked = [pool.submit(work, number) for number in range(40)]
        until(lambda: turns.waiting == 40)
        for event in events[::3]:
            event.set()
        until(lambda: turns.waiting == 40 - len(events[::3]))
    ends = [type(one.exception()) for one in asked]
    assert ends == [
        Cancelled if number % 3 == 0 else ValueError if number % 5 == 0 else type(None) for number in range(40)
    ]
    assert set(most) == {1}
    with turns.take("m", None):
        assert turns.waiting == 0


def test_what_is_cancelled_before_its_turn_does_nothing() -> None:
    turns, event = Turns(), threading.Event()
    event.set()
    with pytest.raises(Cancelled), turns.take("m", event):
        raise AssertionError
    with turns.take("m", None):
        pass
