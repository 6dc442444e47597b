"""The newest change is read after each request arrived, and requests that wait together share a reading."""

from __future__ import annotations

import asyncio
import time
from threading import Event
from typing import Any

from starlette.requests import Request

from weighbridge.domain.audit import Head
from weighbridge.errors import CatalogUnavailable
from weighbridge.web.newest_change import ARRIVED, NewestChange


def request() -> Request:
    return Request({"type": "http", "headers": [], "state": {}})


class Log:
    """A log that counts its readings; one that is held returns what there was when it began."""

    def __init__(self) -> None:
        self.number, self.readings = 0, 0
        self.going_on, self.begun = Event(), Event()

    def head(self) -> Head:
        self.readings += 1
        found = Head(self.number, "a" * 64)
        self.begun.set()
        self.going_on.wait(10)
        return found


async def _until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_reading_that_began_before_a_request_is_not_for_it() -> None:
    async def main() -> None:
        log = Log()
        newest = NewestChange(log.head)
        first = asyncio.create_task(newest.after(request()))
        await _until(log.begun.is_set)
        log.number = 1
        others = [asyncio.create_task(newest.after(request())) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert log.readings == 1
        log.going_on.set()
        assert (await first).number == 0
        assert {head.number for head in await asyncio.gather(*others)} == {1}
        assert log.readings == 2

    asyncio.run(main())


def test_one_request_has_one_newest_change() -> None:
    async def main() -> None:
        log = Log()
        log.going_on.set()
        newest, asked = NewestChange(log.head), request()
        before = await newest.after(asked)
        log.number = 1
        assert await newest.after(asked) == before
        assert (await newest.after(request())).number == 1

    asyncio.run(main())


def test_a_client_that_goes_away_takes_the_reading_from_nobody() -> None:
    async def main() -> None:
        log = Log()
        newest = NewestChange(log.head)
        gone, stays = (asyncio.create_task(newest.after(request())) for _ in range(2))
        await _until(log.begun.is_set)
        gone.cancel()
        log.going_on.set()
        assert (await stays).number == 0
        assert log.readings == 1
        assert (await newest.after(request())).number == 0

    asyncio.run(main())


def test_a_failure_is_that_of_all_who_wait_and_of_nobody_else() -> None:
    failing = [True]

    def read() -> Head:
        if failing[0]:
            raise CatalogUnavailable("Away.", "Wait.")
        return Head(0, "a" * 64)

    async def main() -> None:
        newest = NewestChange(read)
        found = await asyncio.gather(*(newest.after(request()) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in found] == [CatalogUnavailable] * 3
        failing[0] = False
        assert (await newest.after(request())).number == 0

    asyncio.run(main())


def test_requests_that_arrived_before_a_reading_share_it_where_it_waits_for_nothing() -> None:
    async def main() -> None:
        log = Log()
        log.going_on.set()
        newest = NewestChange(log.head, waits=False)
        arrived = time.perf_counter()
        early = [Request({"type": "http", "headers": [], "state": {}, ARRIVED: arrived}) for _ in range(3)]
        assert [(await newest.after(one)).number for one in early] == [0, 0, 0]
        assert log.readings == 1
        log.number = 1
        late = Request({"type": "http", "headers": [], "state": {}, ARRIVED: time.perf_counter()})
        assert (await newest.after(late)).number == 1
        log.number = 2
        assert (await newest.after(request())).number == 2, "nobody knows when it arrived"

    asyncio.run(main())
