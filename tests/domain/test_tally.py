"""Speed and time left: over the last seconds, without what was here before, down to nothing for what stands still."""

import pytest

from weighbridge.domain.progress import Several, Silent, counted, one_of
from weighbridge.domain.tally import Reading, Tally


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> Tally:
    return Tally(clock)


def work(tally: Tally, clock: Clock, seconds: int, amount: int) -> Reading:
    for _ in range(seconds):
        clock.now += 1
        tally.advance("fetch", amount)
    return reading(tally)


def reading(tally: Tally) -> Reading:
    (found,) = tally.readings()
    return found


def test_speed_and_time_left_follow_the_last_seconds(tally: Tally, clock: Clock) -> None:
    tally.expect("fetch", 1000)
    found = work(tally, clock, 20, 10)
    assert (found.speed, found.left_s, found.share) == (pytest.approx(10), pytest.approx(80), 0.2)
    found = work(tally, clock, 20, 1)
    assert found.speed == pytest.approx(1)


def test_what_stands_still_has_no_speed_and_no_time_left(tally: Tally, clock: Clock) -> None:
    tally.expect("fetch", 1000)
    assert work(tally, clock, 20, 10).speed
    clock.now += 60
    assert (reading(tally).speed, reading(tally).left_s, reading(tally).passed_s) == (0, None, 80)


def test_what_was_here_makes_nothing_faster(tally: Tally, clock: Clock) -> None:
    tally.expect("fetch", 1_000_000)
    clock.now += 1
    tally.skip("fetch", 900_000)
    assert reading(tally).speed is None
    found = work(tally, clock, 10, 10)
    assert found.done == 900_100
    assert found.speed == pytest.approx(10, rel=0.2)


def test_what_begins_anew_goes_back_and_never_beyond_the_whole(tally: Tally, clock: Clock) -> None:
    tally.expect("fetch", 100)
    work(tally, clock, 8, 10)
    tally.skip("fetch", -80)
    assert (reading(tally).done, reading(tally).share) == (0, 0)
    assert work(tally, clock, 10, 10).finished


def test_a_step_in_jumps_keeps_a_speed_between_them(tally: Tally, clock: Clock) -> None:
    """A scanner that reads whole files says nothing for half a minute, and is at work."""
    tally.expect("fetch", 1000)
    for _ in range(4):
        clock.now += 30
        tally.advance("fetch", 100)
    clock.now += 29
    speed = reading(tally).speed
    assert speed is not None
    assert 1 < speed < 5


def test_without_a_total_nothing_is_promised(tally: Tally, clock: Clock) -> None:
    tally.say("fetch", "a")
    found = work(tally, clock, 5, 10)
    assert (found.total, found.share, found.left_s, found.finished) == (None, None, None, False)
    assert found.speed == pytest.approx(10)


def test_more_than_expected_is_no_share_of_it(tally: Tally, clock: Clock) -> None:
    tally.expect("fetch", 10)
    found = work(tally, clock, 2, 10)
    assert (found.done, found.total, found.share) == (20, None, None)


def test_what_is_done_keeps_the_time_that_it_took(tally: Tally, clock: Clock) -> None:
    tally.expect("fetch", 100)
    work(tally, clock, 10, 10)
    clock.now += 500
    assert (reading(tally).finished, reading(tally).passed_s) == (True, 10)


def test_things_are_counted_by_name(tally: Tally) -> None:
    things = counted(tally, "compare", "models", [("a", 1), ("b", 2)], 2)
    assert next(things) == 1
    assert (reading(tally).at, reading(tally).done, reading(tally).unit) == ("a", 0, "models")
    assert list(things) == [2]
    assert reading(tally).finished
    with one_of(tally, "compare", "models", "c"):
        assert not reading(tally).finished
    assert reading(tally).finished


def test_several_listen() -> None:
    first, second = Tally(), Tally()
    both = Several(first, Silent(), second)
    both.expect("fetch", 10)
    both.say("fetch", "a")
    both.skip("fetch", 4)
    both.advance("fetch", 3)
    assert [(found.done, found.at) for tally in (first, second) for found in tally.readings()] == [(7, "a")] * 2
