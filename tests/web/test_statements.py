"""How often a request asks the catalog: an answer that is kept costs none, as SQLite says that nothing changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, event
from starlette.types import ASGIApp, Message

from tests.catalog.test_results import result, settle
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key
from weighbridge.intake.opening import open_catalog
from weighbridge.web.app import create_app

#: The most statements of the first request of each kind after a change; the newest change and the key are two of them.
FIRST = {
    "/api/models?limit=1": 3,
    "/api/models/statements/one": 3,
    "/api/models/statements/one/versions": 5,
    "/api/models/statements/one/versions/1.0.0": 9,
    "/api/models/leaderboard": 6,
}


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield what is sent to databases meanwhile, without the beginnings and ends of transactions."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Start an application as a server does, and yield a client of it."""
    told, heard = asyncio.Queue[Message](), asyncio.Queue[Message]()
    living = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, told.get, heard.put))
    await told.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client
    await told.put({"type": "lifespan.shutdown"})
    await living


def test_what_is_kept_costs_no_statement(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, api_reading="closed", serve_jobs=0, serve_deliveries=0)
    with open_catalog(settings) as catalog:
        catalog.add_result(result(settle(catalog, "1.0.0", "a", "statements/one"), 1.0))
        _, key = create_key(catalog, "one", "reader", now=utc_now())

        async def ask() -> dict[str, list[int]]:
            counts: dict[str, list[int]] = {}
            async with started(create_app(settings)) as client:
                client.headers["authorization"] = f"Bearer {key}"
                await client.get("/api/models/none")
                while catalog.keys.listed()[0].used_at is None:  # The use of the key is noted beside the request.
                    await asyncio.sleep(0.01)
                for number, path in enumerate(FIRST):
                    catalog.declarations.change("statements/one", {"tags": [str(number)]})
                    for _ in range(3):
                        with statements() as sent:
                            (await client.get(path)).raise_for_status()
                        counts.setdefault(path, []).append(len(sent))
            return counts

        found = asyncio.run(ask())
    assert {path: counts[1:] for path, counts in found.items()} == {path: [0, 0] for path in FIRST}
    assert {path: counts[0] for path, counts in found.items()} == FIRST
