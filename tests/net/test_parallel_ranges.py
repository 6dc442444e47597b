from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import pytest

from weighbridge.errors import AccessDenied, SourceMisbehaved, SourceUnavailable
from weighbridge.net.parallel_ranges import Windows

CONTENT = bytes(range(256)) * 40


@dataclass
class Shelf:
    """An object in memory whose ranges misbehave as told, by the range's start."""

    content: bytes = CONTENT
    refused: dict[int, Exception] = field(default_factory=dict)
    short: dict[int, int] = field(default_factory=dict)
    held: dict[int, threading.Event] = field(default_factory=dict)
    asked: list[tuple[int, int]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def range(self, start: int, stop: int) -> Iterator[ShelfPart]:
        with self.lock:
            self.asked.append((start, stop))
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            if start in self.refused:
                raise self.refused[start]
            yield ShelfPart(self.content[start : stop - self.short.get(start, 0)], self.held.get(start))
        finally:
            with self.lock:
                self.open -= 1


class ShelfPart:
    def __init__(self, content: bytes, held: threading.Event | None) -> None:
        self._content, self._held = content, held

    @property
    def chunks(self) -> Iterator[bytes]:
        if self._held:
            self._held.wait()
        for start in range(0, len(self._content), 100):
            yield self._content[start : start + 100]

    def cancel(self) -> None:
        if self._held:
            self._held.set()


def windows(in_flight: int) -> Windows:
    """Windows of 1,000 bytes, and no connection fast enough to go without them."""
    return Windows(1_000, in_flight, float("inf"))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("range")]


def read(shelf: Shelf, received: bytearray, failure: BaseException | None = None) -> None:
    """Read a whole shelf; raise `failure` after the first chunk."""
    with windows(4).read(shelf.range, 0, len(shelf.content)) as chunks:
        for chunk in chunks:
            received += chunk
            if failure:
                raise failure


@pytest.mark.parametrize(("start", "stop"), [(0, 10_240), (1, 10_240), (777, 9_999), (0, 1), (5, 5), (0, 1_000)])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_the_bytes_come_in_order_and_each_once(start: int, stop: int, in_flight: int) -> None:
    shelf = Shelf()
    with windows(in_flight).read(shelf.range, start, stop) as chunks:
        assert b"".join(chunks) == CONTENT[start:stop]
    assert sum(end - begin for begin, end in shelf.asked) == stop - start
    assert threads() == []


def test_a_slow_range_holds_back_what_comes_after_it() -> None:
    shelf = Shelf(held={1_000: threading.Event()})

    def let_go() -> None:
        while len(shelf.asked) < 4:
            threading.Event().wait(0.001)
        shelf.held[1_000].set()

    threading.Thread(target=let_go, daemon=True).start()
    with windows(3).read(shelf.range, 0, len(CONTENT)) as chunks:
        assert b"".join(chunks) == CONTENT


def test_one_connection_is_enough_when_it_is_fast() -> None:
    shelf = Shelf()
    with Windows(1_000, 4, 0.0).read(shelf.range, 5, len(CONTENT)) as chunks:
        assert b"".join(chunks) == CONTENT[5:]
    assert shelf.asked == [(5, 1_005), (1_005, 10_240)]
    with Windows(1_000, 4, 0.0).read(Shelf(short={0: 1}).range, 0, 5_000) as chunks:
        assert b"".join(islice(chunks, 10)) == CONTENT[:999]
        with pytest.raises(SourceUnavailable):
            next(chunks)


def test_no_more_is_asked_for_than_may_be_in_memory() -> None:
    shelf = Shelf()
    with windows(3).read(shelf.range, 0, len(CONTENT)) as chunks:
        for _ in islice(chunks, 15):  # one window and a half
            pass
        assert len(shelf.asked) <= 4
        b"".join(chunks)
    assert shelf.most_open <= 3
    assert len(shelf.asked) == 11


def test_what_arrived_before_a_failure_is_given_first() -> None:
    shelf, received = Shelf(refused={2_000: AccessDenied("no more")}), bytearray()
    with pytest.raises(AccessDenied):
        read(shelf, received)
    assert received == CONTENT[:2_000]
    assert threads() == []


def test_a_range_that_is_cut_goes_on_where_it_stopped(waited: list[float]) -> None:
    shelf, received = Shelf(short={1_000: 150, 1_850: 100, 1_900: 50, 4_000: 1}), bytearray()
    read(shelf, received)
    assert received == CONTENT
    assert waited == [0.5] * 4  # each attempt brought bytes
    assert {(1_850, 2_000), (1_900, 2_000), (4_999, 5_000)} <= set(shelf.asked)


@pytest.mark.parametrize(
    ("short", "kind", "arrived"),
    [
        ({1_000: 1_000}, SourceUnavailable, 1_000),
        ({1_000: -150}, SourceMisbehaved, 2_000),
    ],
)
def test_a_range_of_another_length(short: dict[int, int], kind: type[Exception], arrived: int) -> None:
    shelf, received = Shelf(short=short), bytearray()
    with pytest.raises(kind):
        read(shelf, received)
    assert received == CONTENT[:arrived]


def test_objects_share_what_may_be_in_memory() -> None:
    shared = windows(6)
    first, second = Shelf(), Shelf()
    with shared.read(first.range, 0, len(CONTENT)) as chunks:
        assert shared.share == 6
        with shared.read(second.range, 0, len(CONTENT)) as others:
            assert shared.share == 3
            assert b"".join(others) == CONTENT
        assert second.most_open <= 3
        with shared.read(second.range, 0, 9), shared.read(second.range, 0, 9), shared.read(second.range, 0, 9):
            assert shared.share == 2
        assert b"".join(chunks) == CONTENT
    assert shared.share == 6


def test_leaving_early_ends_reads_that_wait() -> None:
    shelf = Shelf(held={1_000: threading.Event(), 2_000: threading.Event()})
    with windows(3).read(shelf.range, 0, len(CONTENT)) as chunks:
        assert next(chunks) == CONTENT[:100]
    assert shelf.open == 0
    assert threads() == []
    assert len(shelf.asked) <= 3


def test_a_reader_that_fails_ends_them_too() -> None:
    shelf = Shelf(held={1_000: threading.Event()})
    with pytest.raises(KeyboardInterrupt):
        read(shelf, bytearray(), KeyboardInterrupt())
    assert shelf.open == 0
    assert threads() == []
