"""A refresh of the catalogue of the whole Hub: from page to page, each stored whole with the place of the next.

While a page is stored, the next one is fetched. A pass that was interrupted goes on where it stands, whoever began it.
Not here: requests (net.hub.listing), rows (catalog.hub_models), what is announced of changes (intake.hub_news).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Thread
from typing import TypeVar

import psutil

from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.hub_models import HubChange, HubModel, HubPass, PassKind
from weighbridge.domain.refresh_request import RefreshRequest
from weighbridge.errors import CatalogUnavailable, SourceMisbehaved, StateConflict, WeighbridgeError
from weighbridge.intake.hub_listing import open_listing
from weighbridge.intake.hub_news import HubNews
from weighbridge.intake.workspace import Workspace
from weighbridge.net.hub.listing import ListedPage, ModelListing

T = TypeVar("T")
_STEP, _UNIT = "refresh", "models"
#: How long before the last pass began a change still counts as one since: clocks differ, and the Hub's list lags.
_OVERLAP = timedelta(hours=1)
#: Seconds after which a wait renews the lease on the pass.
_RENEWED_S = 60.0
_MAX_EMPTY = 3
_log = logging.getLogger(__name__)


def unannounced(changes: Sequence[HubChange]) -> None:
    """Ignore the changes."""


def refresh(
    request: RefreshRequest, workspace: Workspace, on_changes: Callable[[Sequence[HubChange]], None] = unannounced
) -> HubPass:
    """Bring the catalogue of the Hub up to date, and return the pass that did.

    Args:
        request: what to go through.
        workspace: has the catalogue, the Hub's settings, and who hears of the progress.
        on_changes: is called with what changed, once it is stored.

    Raises:
        SourceUnavailable, SourceMisbehaved, AccessDenied, ModelNotFound: the Hub does not give its list; what it gave
            is kept, and the next refresh of that kind goes on from there.
        CatalogUnavailable: another refresh of that kind runs.
        StateConflict: there is no full pass yet that recent changes could add to.
        InvalidConfiguration: the credentials are wrong.
        Cancelled: the waits were ended.
    """
    catalog = workspace.resources.hub_catalog
    since = _since(catalog) if request.kind is PassKind.RECENT else None
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    begun = _begin(catalog, request, owner, workspace.clock())
    waits = _Waits(workspace, catalog, begun.number, owner)

    def tell(changes: Sequence[HubChange]) -> None:
        on_changes(changes)
        news.announce()

    try:
        news = HubNews.of(workspace)
        news.announce()  # What a refresh that was killed noticed and did not tell.
        news.conclude()
        listing = open_listing(workspace, request.auth, request.page_size, waits.tell)
        done = _Walk(request, workspace, catalog, listing, owner, begun, tell, since).run()
        news.announce()
        news.conclude()
        return done
    except BaseException:
        workspace.retrying.stopped.set()  # The page that is being fetched is of no use any more.
        with suppress(WeighbridgeError):
            catalog.release(begun.number, owner)
        raise


def _begin(catalog: HubCatalog, request: RefreshRequest, owner: str, at: datetime) -> HubPass:
    """Begin a pass or go on with it, also where a process of this machine worked at it that was killed since."""
    try:
        return catalog.begin(request.kind, request.selection, owner, at)
    except CatalogUnavailable as error:
        other, running = str(error.facts.get("owner", "")), catalog.state().running
        if running is None or not _is_gone(other):
            raise
        catalog.release(int(error.facts.get("number", running.number)), other)
    return catalog.begin(request.kind, request.selection, owner, at)


def _is_gone(owner: str) -> bool:
    """Return whether a pass's owner was a process of this machine that is no more."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    return host == socket.gethostname() and rest.isdigit() and not psutil.pid_exists(int(rest))


def _since(catalog: HubCatalog) -> datetime:
    state = catalog.state()
    begun = [one.begun_at for one in (state.full, state.recent) if one is not None]
    if not begun:
        raise StateConflict(
            "Recent changes add to a whole catalogue of the Hub, and there is none yet.", "Refresh it in full first."
        )
    return max(begun) - _OVERLAP


class _Waits:
    """Says what a pass waits for, and keeps its lease meanwhile."""

    def __init__(self, workspace: Workspace, catalog: HubCatalog, number: int, owner: str) -> None:
        self._workspace, self._catalog, self._number, self._owner = workspace, catalog, number, owner
        self._renewed = time.monotonic()

    def tell(self, text: str) -> None:
        """Say it."""
        self._workspace.progress.say(_STEP, text)
        if time.monotonic() - self._renewed > _RENEWED_S:
            self._catalog.renew(self._number, self._owner, self._workspace.clock())
            self._renewed = time.monotonic()


@dataclass
class _Walk:
    request: RefreshRequest
    workspace: Workspace
    catalog: HubCatalog
    listing: ModelListing
    owner: str
    done: HubPass
    on_changes: Callable[[Sequence[HubChange]], None]
    since: datetime | None

    def __post_init__(self) -> None:
        self._first = self.listing.first_address(self.request.kind, self.request.filters, self.request.limit)
        self._asked, self._empty, self._malformed = set[str](), 0, 0
        self._continued = self._restarted = False
        self._known = self.catalog.state().models
        self._expected = self.request.limit or (self._known if self.request.kind is PassKind.FULL else 0)

    def run(self) -> HubPass:
        progress = self.workspace.progress
        progress.expect(_STEP, self._expected, _UNIT)
        progress.skip(_STEP, self.done.models)
        if address := self._begin():
            self._go_through(address)
        ended = self.catalog.finish(self.done.number, self.owner, self.workspace.clock())
        progress.expect(_STEP, self.done.models - self._expected, _UNIT)
        counts = {name: getattr(ended, name) for name in ("pages", "models", "added", "changed", "vanished")}
        _log.info("hub refresh ended", extra={"kind": ended.kind.value, "unreadable": self._malformed, **counts})
        return ended

    def _begin(self) -> str:
        """Return where the pass begins or goes on; empty where only its end is missing.

        A full one whose end was reached, and not marked, goes on behind its last model: the list may have been cut.
        """
        if self.done.cursor or not self.done.pages:
            return self.done.cursor or self._first
        if self.request.kind is not PassKind.FULL or not self.done.last_created_at:
            return ""
        return self.listing.continued_address(self._first, self.done.last_created_at)

    def _go_through(self, address: str) -> None:
        coming = self._fetch(address, self.done.models)
        while True:
            try:
                at, page = coming.result()
            except SourceMisbehaved as error:
                address = self._around(address, error)
                coming = self._fetch(address, self.done.models)
                continue
            self._continued = False
            following = self._following(page)
            if following:
                coming = self._fetch(following, self.done.models + len(page.models))
            self._store(page, following, at)
            address = following
            if not address:
                return

    def _fetch(self, address: str, models: int) -> Future[tuple[datetime, ListedPage]]:
        self._asked.add(address)
        most = max(1, self.request.limit - models) if self.request.limit else 0
        return _begun(partial(self._page, address, most))

    def _page(self, address: str, most: int) -> tuple[datetime, ListedPage]:
        return self.workspace.clock(), self.listing.page(address, most)

    def _following(self, page: ListedPage) -> str:
        """Return the address behind a page; empty where nothing that is wanted comes any more."""
        limit, count = self.request.limit, self.done.models + len(page.models)
        if not page.next_address or (limit and count >= limit) or self._is_old(page.models):
            return ""
        self._empty = 0 if page.models or page.malformed else self._empty + 1
        if page.next_address in self._asked or self._empty >= _MAX_EMPTY:
            raise SourceMisbehaved(
                "The Hub's list of models leads in a circle.",
                "What it listed is kept. Try again later, or another endpoint (HF_ENDPOINT).",
            )
        return page.next_address

    def _is_old(self, models: Sequence[HubModel]) -> bool:
        """Return whether a page of recent changes reaches back to what the last pass has seen."""
        since = self.since
        return since is not None and any(one.last_modified and one.last_modified < since for one in models)

    def _around(self, address: str, error: SourceMisbehaved) -> str:
        """Return the address to go on from where the Hub refuses its own cursor; raise the error where there is none.

        The list by creation goes on from the last model's moment. Any other begins again, as does one whose Hub
        refuses that too; once.
        """
        if not error.facts.get("cursor_refused"):
            raise error
        created_at = self.done.last_created_at
        if "createdAt" in self._first and created_at and not self._continued:
            self._continued = True
            _log.warning("the hub refuses its cursor, going on by the time of creation")
            return self.listing.continued_address(address, created_at)
        if self._restarted:
            raise error
        self._restarted = True
        self._asked.clear()
        _log.warning("the hub refuses its cursor, beginning again")
        return self.listing.continued_address(self._first, None)

    def _store(self, page: ListedPage, following: str, at: datetime) -> None:
        self.done, changes = self.catalog.add_page(self.done.number, self.owner, page.models, following, at)
        progress = self.workspace.progress
        progress.advance(_STEP, len(page.models))
        if page.malformed:
            self._malformed += page.malformed
            _log.warning("the hub lists rows that name no model", extra={"rows": page.malformed})
        if self.done.last_created_at and "createdAt" in self._first:
            progress.say(_STEP, f"to {self.done.last_created_at:%Y-%m-%d}")
        if changes:
            self.on_changes(changes)


def _begun(work: Callable[[], T]) -> Future[T]:
    """Return what a call will return, from a thread that keeps no process alive."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 (whoever waits for it raises it)
            future.set_exception(error)

    Thread(target=copy_context().run, args=(run,), name="page of the hub", daemon=True).start()
    return future
