"""How often a request of a warm mirror asks the catalog: never, where SQLite says that nothing changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.catalog.test_results import settle
from tests.web.test_statements import started, statements
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key
from weighbridge.intake.opening import open_catalog
from weighbridge.web.app import create_app

PATH = "/huggingface/api/models/statements/one"


def test_a_key_is_read_once_and_refused_from_its_end_on(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, api_reading="closed", serve_jobs=0, serve_deliveries=0)
    with open_catalog(settings) as catalog:
        settle(catalog, "1.0.0", "a", "statements/one")
        _, key = create_key(catalog, "one", "reader", now=utc_now())

        async def ask() -> list[list[str]]:
            sent_each = []
            async with started(create_app(settings)) as client:
                client.headers["authorization"] = f"Bearer {key}"
                await client.get(PATH)
                while catalog.keys.listed()[0].used_at is None:  # The use of the key is noted beside the request.
                    await asyncio.sleep(0.01)
                for _ in range(2):
                    with statements() as sent:
                        (await client.get(PATH)).raise_for_status()
                    sent_each.append(sent)
                catalog.keys.revoke("one")
                assert (await client.get(PATH)).status_code == 401
            return sent_each

        *_, last = asyncio.run(ask())  # The note of the use of the key is a change, before the first one.
        assert last == [], "SQLite says that nothing changed"
