"""Children end with everything that they started, and get the environment that their caller lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event

import psutil
import pytest

from weighbridge.system.processes import PIPE, Child, inherited, printed_by, time_limit

#: Starts a program in the same group that outlives it, writes its number, and goes on or ends.
PARENT = "sleep 600 & echo $!; {then}"


@contextmanager
def family(then: str) -> Iterator[tuple[Child, int]]:
    """Start a child, and yield it with the number of what it started."""
    with Child(["/bin/sh", "-c", PARENT.format(then=then)], {}, stdout=PIPE) as child:
        assert child.stdout is not None
        yield child, int(child.stdout.readline())


def has_ended(number: int) -> bool:
    """Whether a process is gone, or only waits for its parent to notice."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    return True


def ends(number: int) -> bool:
    """Wait for the end of a process that was killed, which takes it a moment."""
    until = time.monotonic() + 30
    while time.monotonic() < until and not has_ended(number):
        time.sleep(0.01)
    return has_ended(number)


@pytest.mark.parametrize("then", ["wait", "exit 0"])
def test_the_end_of_the_block_kills_the_child_and_what_it_started(then: str) -> None:
    with family(then) as (child, other):
        assert child.ends_within(0.1 if then == "wait" else 30) is (then != "wait")
        assert not has_ended(other)
    assert child.returncode is not None
    assert ends(other)


def test_an_error_in_the_block_kills_too() -> None:
    with pytest.raises(ValueError, match="x"), family("wait") as (child, other):
        raise ValueError("x")
    assert child.returncode == -9
    assert ends(other)


def test_a_time_limit_kills_and_says_so() -> None:
    with family("wait") as (child, other), time_limit(0.2, child) as late:
        assert child.wait(30) == -9
        assert late.is_set()
        assert ends(other)


def test_a_cancelled_child_is_not_late() -> None:
    cancelled = Event()
    with family("wait") as (child, _), time_limit(600, child, cancel_event=cancelled) as late:
        cancelled.set()
        assert child.wait(30) == -9
        assert not late.is_set()


def test_a_child_that_ends_in_time_is_not_touched() -> None:
    with Child(["/bin/sh", "-c", "exit 7"], {}) as child, time_limit(600, child) as late:
        assert child.wait(30) == 7
    assert (child.returncode, late.is_set()) == (7, False)


def test_what_a_child_does_not_read_is_no_error() -> None:
    with Child(["/bin/sh", "-c", "exit 0"], {}, stdin=PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(b"x" * 100)
        child.wait()


def test_a_child_gets_only_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANTED", "1")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.delenv("MISSING", raising=False)
    assert inherited("WANTED", "MISSING") == {"WANTED": "1"}
    assert printed_by(["/usr/bin/env"], inherited("WANTED", "MISSING")) == "WANTED=1\n"


@pytest.mark.parametrize("command", [["/bin/sh", "-c", "exit 3"], ["/nowhere/program"]])
def test_a_program_that_says_nothing_of_itself_is_an_error(command: list[str]) -> None:
    with pytest.raises(OSError, match=r"exit status 3|No such file"):
        printed_by(command, {})
