"""A Hub's list of models, page by page, and its answers about one model and to a search.

The pace comes from the Hub's own headers, before anything is refused. What a page cannot be had for now is asked for
again: more slowly after 429, for fewer models after a failure of the server. The next page is always requested at the
Hub of the settings, with the query of the `Link` header: the token goes nowhere else. Not here: which pages are still
to come after a kill (intake).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from weighbridge.domain.hub_models import HubModel, HubQuery, PassKind
from weighbridge.domain.source_kinds.hub import DEFAULT_ENDPOINT
from weighbridge.errors import InvalidReference, ModelNotFound, SourceError, SourceMisbehaved, SourceUnavailable
from weighbridge.net.hub.list_addresses import (
    CONFIG,
    ESSENTIAL,
    FIELDS,
    continued_query,
    expanded,
    first_query,
    has_cursor,
    limit_of,
    next_query,
    with_fields,
    with_limit,
)
from weighbridge.net.hub.list_searches import fits, search_query
from weighbridge.net.hub.listed_models import is_model_id, read_model
from weighbridge.net.hub.request_budget import RequestBudget
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.transfer import FetchedDocument, Transfer

PAGE_SIZE = 1000
#: The fewest models that a failing Hub is asked for, and the pages after which it is asked for more again.
_SMALLEST, _RECOVERED = 50, 20
#: Consecutive failures after which a page is given up, and unreadable answers.
_MAX_FAILURES, _MAX_UNREADABLE = 10, 3
#: The longest wait that a Hub may ask for, in seconds.
_LONGEST_WAIT_S = 3600.0
_MAX_SIZE, _MAX_MODEL_SIZE = 32 * 1024**2, 32 * 1024**2
_REFUSED = frozenset({400, 404, 410, 422})


def untold(text: str) -> None:
    """Ignore what a listing waits for."""


@dataclass(frozen=True)
class ListedPage:
    """One page of a list.

    Attributes:
        models: in the Hub's order; private ones are left out.
        next_address: of the page behind it; empty at the end.
        malformed: rows that name no repository.
        budget: what the Hub still grants; None where it does not say.
    """

    models: tuple[HubModel, ...]
    next_address: str
    malformed: int = 0
    budget: RequestBudget | None = None


class ModelListing:
    """A Hub's list; for one thread.

    Args:
        settings: those of the Hub.
        page_size: the most models of a page.
        tell: is called with what is waited for, and how long.
    """

    def __init__(
        self, settings: SourceSettings, page_size: int = PAGE_SIZE, tell: Callable[[str], None] = untold
    ) -> None:
        self._settings, self._page_size, self._tell = settings, page_size, tell
        endpoint = (settings.endpoint or DEFAULT_ENDPOINT).rstrip("/")
        self._url = f"{endpoint}/api/models"
        self._authorization = settings.auth.header(endpoint)
        self._headers = {"Via": settings.via} if settings.via else {}
        self._limit, self._good = page_size, 0
        self._budget: RequestBudget | None = None
        self._asked_at = 0.0
        self._last: tuple[str, ...] = ()
        self._only_essential = self._answered = False

    @cached_property
    def _once(self) -> Transfer:
        """Asks each page once, as what follows a failure is decided here."""
        return Transfer.of(replace(self._settings, retrying=replace(self._settings.retrying, attempts=1)))

    @cached_property
    def _patient(self) -> Transfer:
        return Transfer.of(self._settings)

    def first_address(self, kind: PassKind, filters: Sequence[str] = (), most: int = 0) -> str:
        """Return the address of the first page: of all, of what changed last, or of a selection."""
        return f"{self._url}?{first_query(kind, filters, most, self._page_size)}"

    def continued_address(self, address: str, created_at: datetime | None) -> str:
        """Return the address that goes on behind a moment, in place of one whose cursor the Hub refuses."""
        self._last = ()
        return f"{self._url}?{continued_query(urlsplit(address).query, created_at)}"

    def page(self, address: str, most: int = 0) -> ListedPage:
        """Fetch one page, as often and for as few models as it takes.

        Args:
            address: that of `first_address`, or of the page before.
            most: models that are still wanted, 0 for all.

        Raises:
            SourceUnavailable: the Hub went on failing.
            SourceMisbehaved: it sends no list, or the same page again; with `facts["cursor_refused"]` where it does
                not take its own cursor.
            AccessDenied, ModelNotFound: it refuses.
            Cancelled: the waits were ended.
        """
        query, failures = urlsplit(address).query, 0
        while True:
            query = with_limit(query, min(self._limit, most or self._limit))
            self._keep_pace()
            try:
                page = self._read(query)
            except SourceError as error:
                failures += 1
                query = self._eased(query, error, failures)
                continue
            self._succeeded()
            return page

    def _read(self, query: str) -> ListedPage:
        url = f"{self._url}?{query}"
        found = self._once.read(
            url,
            accept="application/json",
            authorization=self._authorization,
            headers=self._headers,
            max_size=_MAX_SIZE,
        )
        self._budget = RequestBudget.of(found.headers)
        rows = _rows(found, self._url)
        names = tuple([str(row.get("id"))[:300] for row in rows if isinstance(row, dict)])
        try:
            following = next_query(found.headers)
        except ValueError as error:
            raise SourceMisbehaved(f"The list of {self._url} cannot be followed: {error}.", _CHECK) from error
        if following and (following == query or names == self._last):
            raise SourceMisbehaved(
                f"{self._url} sends the same page of its list again.",
                "The list has no end there. Try again later, or another endpoint (HF_ENDPOINT).",
                same_page=True,
            )
        self._last = names
        models, malformed = _models(rows)
        return ListedPage(models, f"{self._url}?{following}" if following else "", malformed, self._budget)

    def _keep_pace(self) -> None:
        """Wait until the next request keeps within what the Hub grants."""
        if self._budget:
            wait_s = self._asked_at + self._budget.interval_s - time.monotonic()
            if wait_s > 0:
                self._wait(wait_s, "the Hub's limit of requests")
        self._asked_at = time.monotonic()

    def _wait(self, wait_s: float, why: str) -> None:
        if wait_s >= 1:
            self._tell(f"{why}: waiting {wait_s:.0f} s")  # A narrow terminal shows the end.
        self._settings.retrying.pause(wait_s)

    def _eased(self, query: str, error: SourceError, failures: int) -> str:
        """Wait after a failure, and return the query to go on with; raise `error` where nothing may help."""
        status = error.facts.get("http_status")
        if status in _REFUSED and has_cursor(query):
            error.facts["cursor_refused"] = True
            raise error
        if status in (400, 422) and not self._only_essential:
            self._only_essential = True
            return with_fields(query, ESSENTIAL)
        is_large = "max_size" in error.facts
        is_unreadable = isinstance(error, SourceMisbehaved) and not error.facts.keys() & {"http_status", "same_page"}
        if not isinstance(error, SourceUnavailable) and not is_unreadable:
            raise error
        smallest = limit_of(query) <= _SMALLEST
        if is_unreadable and not (is_large and not smallest):
            most = _MAX_UNREADABLE
        elif status is None and not self._answered:  # It is not there at all, or the address is wrong.
            most = self._settings.retrying.attempts
        else:
            most = _MAX_FAILURES
        if failures >= most:
            raise error
        if status != 429 and (status == 504 or is_large or failures > 1):
            self._limit, self._good = max(min(_SMALLEST, self._page_size), limit_of(query) // 2), 0
        self._wait_after(error, failures)
        return query

    def _wait_after(self, error: SourceError, failures: int) -> None:
        retrying, asked_s = self._settings.retrying, error.facts.get("retry_after_s")
        wait_s = min(retrying.first_wait_s * retrying.growth ** (failures - 1), retrying.longest_wait_s)
        if isinstance(asked_s, int | float):
            wait_s = max(wait_s, float(asked_s) + (1.0 if error.facts.get("http_status") == 429 else 0.0))
        if wait_s > _LONGEST_WAIT_S:
            raise error
        self._budget = None  # It is of before the failure.
        why = "cannot be reached" if error.facts.get("http_status") is None else "is busy"
        self._wait(wait_s, f"the Hub {why}")

    def _succeeded(self) -> None:
        self._good, self._answered = self._good + 1, True
        if self._good >= _RECOVERED and self._limit < self._page_size:
            self._limit, self._good = min(self._page_size, self._limit * 2), 0

    def model(self, name: str) -> HubModel:
        """Ask for one model. It has another name in the answer where it was renamed.

        Raises:
            ModelNotFound: the Hub shows no such public model.
            InvalidReference: no repository can have that name.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.read`.
        """
        if not is_model_id(name):
            raise InvalidReference(f"“{name[:100]}” is not a repository id of the Hub.", "Write org/name.")
        url = f"{self._url}/{quote(name)}"
        try:
            found = self._ask(url, (*FIELDS, CONFIG), _MAX_MODEL_SIZE)
        except SourceUnavailable:
            found = self._ask(url, FIELDS, _MAX_MODEL_SIZE)
        row = _json(found, url)
        model = read_model(row) if isinstance(row, dict) else None
        if model is None:
            raise SourceMisbehaved(f"The response of {url} describes no model.", _CHECK, url=url)
        if row.get("private") is True:
            raise ModelNotFound(f"{name} is private.", "The catalogue of the Hub has public models only.")
        return model

    def search(self, query: HubQuery) -> list[HubModel]:
        """Ask for the first models that a query wants; what the Hub cannot choose by is chosen here, of one page.

        Raises:
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.read`.
        """
        url = f"{self._url}?{search_query(query)}"
        rows = _rows(self._ask(url, (), _MAX_SIZE), self._url)
        return [model for model in _models(rows)[0] if fits(model, query)][: query.limit]

    def _ask(self, url: str, fields: Sequence[str], max_size: int) -> FetchedDocument:
        asked = f"{url}?{urlencode(expanded(fields))}" if fields else url
        return self._patient.read(
            asked,
            accept="application/json",
            authorization=self._authorization,
            headers=self._headers,
            max_size=max_size,
        )


_CHECK = "Check that the endpoint is a Hugging Face Hub or a true mirror of one."


def _models(rows: list[Any]) -> tuple[tuple[HubModel, ...], int]:
    models, malformed = [], 0
    for row in rows:
        model = read_model(row) if isinstance(row, dict) else None
        if model is None:
            malformed += 1
        elif row.get("private") is not True:
            models.append(model)
    return tuple(models), malformed


def _rows(found: FetchedDocument, url: str) -> list[Any]:
    rows = _json(found, url)
    if not isinstance(rows, list):
        raise SourceMisbehaved(f"The response of {shown(url)} is not a list of models.", _CHECK)
    return rows


def _json(found: FetchedDocument, url: str) -> Any:
    try:
        try:
            return json.loads(found.content)
        except ValueError:  # a number that Python does not read, or bytes that are no UTF-8, spoil one field alone
            return json.loads(found.content.decode("utf-8", "replace"), parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise SourceMisbehaved(f"The response of {shown(url)} is not JSON.", _CHECK) from error


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) < 40 else None
