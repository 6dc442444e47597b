"""Writing behind: in order, side by side, whatever the chunks; and no failure is lost."""

from __future__ import annotations

import threading
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.store.write_behind import BATCH, WriteBehind

WHOLE = bytes(range(256)) * (5 * BATCH // 256) + b"the end"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3 * BATCH), max_size=12), st.sets(st.integers(0, 12)))
def test_every_writer_gets_every_byte_once_and_in_order(sizes: list[int], looks: set[int]) -> None:
    found = [bytearray(), bytearray()]
    behind, given_ = WriteBehind(found[0].extend, found[1].extend), bytearray()
    for number, size in enumerate(sizes):
        chunk = WHOLE[number : number + size]
        behind.add(chunk)
        given_ += chunk
        if number in looks:
            behind.settle()
            assert found == [given_, given_]
    behind.close()
    assert found == [given_, given_]


def test_little_needs_no_thread() -> None:
    threads: set[str] = set()
    behind = WriteBehind(lambda _batch: threads.add(threading.current_thread().name))
    behind.add(WHOLE[: BATCH - 1])
    behind.close()
    assert threads == {threading.current_thread().name}


def test_one_batch_is_written_while_the_next_is_gathered() -> None:
    arrived, written = threading.Event(), bytearray()

    def write(batch: memoryview) -> None:
        assert arrived.wait(60), "nothing was taken while this batch was written"
        written.extend(batch)

    behind = WriteBehind(write)
    behind.add(WHOLE[:BATCH])
    behind.add(WHOLE[BATCH : 2 * BATCH - 1])
    arrived.set()
    behind.close()
    assert written == WHOLE[: 2 * BATCH - 1]


@pytest.mark.parametrize("size", [1, BATCH])
def test_a_failure_is_told_until_it_is_dropped_and_nothing_is_written_after_it(size: int) -> None:
    written, failing = bytearray(), [True]

    def write(batch: memoryview) -> None:
        if failing[0]:
            raise OSError("the disk is full")
        written.extend(batch)

    behind = WriteBehind(write)
    behind.add(WHOLE[:size])
    with pytest.raises(OSError, match="full") as first:
        behind.settle()
    failing[0] = False
    for call in (behind.settle, lambda: behind.add(WHOLE), behind.settle):
        with pytest.raises(OSError, match="full"):
            call()
    behind.drop()
    behind.add(b"more")
    behind.close()
    assert written == b"more"
    assert "full" in str(first.value)  # It lives until here, with the frames that saw the bytes.


def test_little_takes_little_memory() -> None:
    behind = WriteBehind(lambda _batch: None)
    tracemalloc.start()
    try:
        behind.add(b"little")
        behind.settle()
        assert tracemalloc.get_traced_memory()[1] < BATCH / 10
    finally:
        tracemalloc.stop()
    behind.close()
