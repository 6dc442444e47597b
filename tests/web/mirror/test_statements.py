"""What a request of a warm mirror costs: it asks no catalog of which SQLite says that nothing changed, nor a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio.to_thread
import pytest

from tests.catalog.test_results import settle
from tests.services.weighbridge import Served
from tests.web.mirror.conftest import Mirrored
from tests.web.test_statements import started, statements
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key
from weighbridge.intake.opening import open_catalog
from weighbridge.store.local import LocalBlobStore
from weighbridge.web.app import create_app
from weighbridge.web.mirror import application, transfers

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


@pytest.mark.parametrize("wanted", ["", "bytes=3-5", "bytes=-70000"])
def test_what_is_in_memory_takes_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    threads: list[str] = []

    async def counted(work: Callable[..., Any], *arguments: Any) -> Any:
        threads.append(repr(work))
        return await anyio.to_thread.run_sync(work, *arguments)

    monkeypatch.setattr(application, "run_sync", counted)
    monkeypatch.setattr(transfers, "run_sync", counted)
    content = b"0123456789" * 10_000
    settings = Settings(home=tmp_path, api_reading="open", serve_jobs=0, serve_deliveries=0)
    with open_catalog(settings) as catalog:
        served = cast(Served, SimpleNamespace(catalog=catalog))
        Mirrored(served, LocalBlobStore(tmp_path / "store"), "").add("statements/file", {"a.bin": content})

        async def ask() -> list[int]:
            taken = []
            async with started(create_app(settings)) as client:
                for _ in range(12):  # Some may be the first of a second, for which everything is looked up anew.
                    threads.clear()
                    headers = {"Range": wanted} if wanted else {}
                    found = await client.get("/huggingface/statements/file/resolve/main/a.bin", headers=headers)
                    assert found.content == {"": content, "bytes=3-5": b"345"}.get(wanted, content[-70_000:])
                    taken.append(len(threads))
            return taken

        taken = asyncio.run(ask())
    assert taken[0]
    assert 0 in taken, taken
