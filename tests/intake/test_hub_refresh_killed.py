"""Refreshes of the Hub's catalogue killed by a signal that nothing can catch, and begun again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.intake.hub_passes import Side
from tests.registries.killing import Seen, die, run_and_die
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import GeneratedModels
from weighbridge.catalog.hub_models import FILE_NAME
from weighbridge.domain.hub_models import PassKind
from weighbridge.errors import CatalogUnavailable

multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.intake.test_hub_refresh_killed"])

#: Ten moments, each in a process of its own that goes on where the one before was killed: odd numbers are before a
#: commit of the catalogue, even ones after it; the first commit of a process begins or resumes the pass.
MOMENTS = (4, 3, 2, 5, 7, 6, 9, 1, 8, 11)
PAGES, PAGE = 30, 40


@pytest.fixture
def hub() -> Iterator[HubList]:
    with HubList(GeneratedModels(PAGES * PAGE)) as hub:
        yield hub


def around_commit_of_the_hub(number: int) -> Seen:
    """Die before the nth commit of something new in the Hub's catalogue (odd numbers), or after it (even ones)."""
    seen, wrote = 0, False

    def is_hub(connection: Any) -> bool:
        return str(connection.engine.url.database).endswith(FILE_NAME)

    def execute(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal wrote
        if is_hub(connection) and statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            wrote = True

    def commit(connection: Any) -> None:
        nonlocal seen, wrote
        if is_hub(connection) and wrote:
            seen, wrote = seen + 1, False
            if 2 * seen - 1 == number:
                die()

    def begin(connection: Any) -> None:
        if is_hub(connection) and seen and 2 * seen == number:
            die()

    event.listen(Engine, "before_cursor_execute", execute)
    event.listen(Engine, "commit", commit)
    event.listen(Engine, "begin", begin)
    return lambda: seen


def refresh_at(folder: Path, url: str, kind: PassKind) -> None:
    """Refresh in another process, which knows the Hub by its address."""

    class Elsewhere:
        def __init__(self, url: str) -> None:
            self.url = url

    side = Side(folder, Elsewhere(url), PAGE)  # type: ignore[arg-type]
    side.refresh(kind)


def test_ten_kills_lose_nothing_and_double_nothing(hub: HubList, tmp_path: Path) -> None:
    side = Side(tmp_path, hub, PAGE)
    with side.catalog():
        pass  # its tables are there
    before, stood = 0, []
    for moment in MOMENTS:
        assert run_and_die(around_commit_of_the_hub, moment, refresh_at, tmp_path, hub.url, PassKind.FULL) is None
        names = side.names()
        assert len(names) == len(set(names))
        assert len(names) % PAGE == 0  # a page is there whole, or not at all
        assert len(names) >= before
        before = len(names)
        stood.append(before)
    assert len(set(stood)) > 5  # The moments were spread over the pages.
    assert before < PAGES * PAGE
    done = side.refresh()
    side.assert_whole()
    assert (done.models, done.added) == (PAGES * PAGE, PAGES * PAGE)
    # A killed process had fetched a page that was not stored, and may have asked for the one behind it.
    assert hub.pages <= PAGES + 2 * len(MOMENTS)


def test_a_kill_between_the_last_page_and_the_end(hub: HubList, tmp_path: Path) -> None:
    side = Side(tmp_path, hub, PAGE)
    side.refresh()
    hub.models.deleted.add(77)
    end = 2 * (1 + PAGES) + 1
    assert run_and_die(around_commit_of_the_hub, end, refresh_at, tmp_path, hub.url, PassKind.FULL) is None
    assert len(side.names()) == PAGES * PAGE
    assert side.refresh().vanished == 1
    side.assert_whole()


def test_one_of_another_machine_is_waited_for(hub: HubList, tmp_path: Path) -> None:
    side = Side(tmp_path, hub, PAGE)
    with side.open() as workspace:
        catalog = workspace.resources.hub_catalog
        catalog.begin(PassKind.FULL, "", "elsewhere:1:ab", workspace.clock())
    with pytest.raises(CatalogUnavailable, match="elsewhere"):
        side.refresh()
    assert hub.pages == 0
