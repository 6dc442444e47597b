"""A stream that hardly comes, or never ends, ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest

from weighbridge.errors import SourceMisbehaved, SourceUnavailable
from weighbridge.net.pace import Pace


def ticking(step_s: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step_s


def test_a_byte_a_second_is_too_slow() -> None:
    clock = ticking(1.0)
    with pytest.raises(SourceUnavailable, match="1 bytes a second") as caught:
        list(Pace(10.0).held(repeat(b"x", 100), "a.bin", True, lambda: next(clock)))
    assert caught.value.facts["slow"]


def test_what_is_fast_enough_comes_whole() -> None:
    clock, chunks = ticking(1.0), [b"x" * 2000] * 100
    assert list(Pace(10.0).held(chunks, "a.bin", True, lambda: next(clock))) == chunks


def test_a_pause_within_the_window_is_no_death() -> None:
    moments = iter([0.0, 1.0, 9.0, 10.0, 11.0])
    chunks = [b"x" * 9000, b"", b"x" * 9000, b"x"]
    assert list(Pace(10.0).held(chunks, "a.bin", True, lambda: next(moments))) == chunks


def test_fast_enough_is_not_for_ever() -> None:
    """A server that sends just enough is listened to for so long and no longer, however often it begins anew."""
    clock = ticking(1.0)
    with pytest.raises(SourceUnavailable, match="more than 50 seconds") as caught:
        list(Pace(10.0, lifetime_s=50).held(repeat(b"x" * 2000), "a.bin", True, lambda: next(clock)))
    assert next(clock) < 60
    assert caught.value.facts["attempts"]  # Nothing asks again within the same command.
    with pytest.raises(SourceUnavailable, match="more than 50 seconds"):
        list(Pace(10.0, lifetime_s=50).held([b"x" * 2000], "a.bin", True, lambda: 100.0, since=0.0))


def test_no_end_is_an_end_where_nothing_was_promised() -> None:
    pace = Pace(longest=10)
    with pytest.raises(SourceMisbehaved, match="more than 10 bytes"):
        list(pace.held(repeat(b"abc"), "a.bin", promised=False))
    assert len(list(pace.held([b"abc"] * 9, "a.bin", promised=True))) == 9
    assert len(list(pace.held([b"abc"] * 3, "a.bin", promised=False))) == 3
