"""A Hub that lists any number of generated models: in a test a context manager, for others a process of its own.

`python -m tests.simulators.hub_list --models 100000 --port 8090` prints its port. It lists as the Hub does: pages by
opaque cursors, `Link`, `expand`, `RateLimit`, and it fails as the Hub does. What it holds besides (repositories with
files, tokens) is the Hub's of tests.simulators.hub. Not here: the models (hub_list_models).
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.simulators.hub import Fault, Hub
from tests.simulators.hub_list_models import FIELDS, PLAIN, VARIANTS, GeneratedModels
from tests.simulators.hub_protocol import Answer, Request, document, refusal

SORTS = ("createdAt", "lastModified", "downloads", "likes", "trendingScore")
#: Models of a page where the request does not say how many.
_PAGE = 1000


@dataclass
class ListRules:
    """How a Hub lists.

    Attributes:
        largest: the most models of a page, whatever `limit` says.
        quota: requests of a window for each token, and for no token; 0 for no limit.
        token_quota: the same with a token.
        window_s: seconds of a window.
        retry_after: value of Retry-After in 429; empty for none.
        slow_from: models before a page from which pages of more than `slow_limit` are answered with 504; None for none.
        slow_limit: see `slow_from`.
        config_slow_from: models before a page from which `expand=config` is answered with 504; None for none.
        doubled: rows of a page that the next one has again.
        standing: whether a page's link leads to the page itself.
        link_base: the address of links, in place of its own; empty for its own.
        refused_cursors: how many of the next cursors are refused.
        known_cursors: whether a cursor is understood that it did not give out.
    """

    largest: int = 1000
    quota: int = 0
    token_quota: int = 0
    window_s: float = 300.0
    retry_after: str = ""
    slow_from: int | None = None
    slow_limit: int = 100
    config_slow_from: int | None = None
    doubled: int = 0
    standing: bool = False
    link_base: str = ""
    refused_cursors: int = 0
    known_cursors: bool = True


@dataclass
class _Window:
    began: float = field(default_factory=time.monotonic)
    used: int = 0


class _Refused(Exception):
    """A request that the Hub answers with 400."""


class HubList(Hub):
    """The Hub; a context manager.

    Attributes:
        models: what it lists.
        rules: how.
        at: faults of the n-th request for a page, from 1.
        on_page: is called with the number of each request for a page, before it is answered.
        pages: requests for a page so far.
        limited: requests that were answered with 429 so far.
    """

    def __init__(self, models: GeneratedModels, *, port: int = 0, root: Path | None = None) -> None:
        super().__init__(root, port)
        self.models, self.rules = models, ListRules()
        self.at: dict[int, Fault] = {}
        self.on_page: Callable[[int], None] | None = None
        self.pages = self.limited = 0
        self._windows: dict[str, _Window] = {}
        self._given: set[str] = set()

    def stats(self) -> dict[str, int]:
        """What was asked so far."""
        return {**super().stats(), "pages": self.pages, "limited": self.limited}

    def take_fault(self, request: Request) -> Fault:
        """Return how to misbehave now: at the n-th page, or at a path."""
        if urlsplit(request.path).path != "/api/models":
            return super().take_fault(request)
        with self.lock:
            self.pages += 1
            number = self.pages
        if self.on_page:
            self.on_page(number)
        return self.at.get(number) or super().take_fault(request)

    def answer(self, request: Request) -> Answer:
        """Answer a request for the list or for a generated model; everything else as the Hub with repositories."""
        path = urlsplit(request.path).path
        if not path.startswith("/api/models"):
            return super().answer(request)
        limit, headers = self._limit(request)
        if limit is not None:
            return limit
        try:
            found = self._list(request) if path == "/api/models" else self._model(request, path[12:])
        except _Refused as error:
            found = refusal(400, "", str(error))
        found.headers.update(headers)
        return found

    def _limit(self, request: Request) -> tuple[Answer | None, dict[str, str]]:
        """Count a request; return the refusal, if it is one too many, and the headers of every answer."""
        rules = self.rules
        quota = rules.token_quota if request.token and rules.token_quota else rules.quota
        if not quota:
            return None, {}
        now = time.monotonic()
        with self.lock:
            window = self._windows.setdefault(request.token, _Window())
            if now - window.began >= rules.window_s:
                window.began, window.used = now, 0
            window.used += 1
            left = quota - window.used
            self.limited += left < 0
        resets = math.ceil(window.began + rules.window_s - now)
        headers = {
            "RateLimit": f'"api";r={max(0, left)};t={resets}',
            "RateLimit-Policy": f'"fixed window";"api";q={quota};w={max(1, int(rules.window_s))}',
        }
        if left >= 0:
            return None, headers
        refused = refusal(429, "", "We had to rate limit you. Retry later.", **headers)
        refused.headers.update({"Retry-After": rules.retry_after})
        return refused, headers

    def _list(self, request: Request) -> Answer:
        query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
        if request.token and request.token not in self.tokens:
            return refusal(401, "", "Invalid credentials in Authorization header")
        sort, ascending = _sort(query)
        limit, fields = _limit(query), _fields(query)
        after = self._after(query, sort)
        begin = self._depth(after, sort)
        if self._is_slow(begin, limit, "config" in fields):
            return refusal(504, "", "Gateway Time-out")
        size, rows = min(limit, self.rules.largest), self._matching(query, sort, ascending, after)
        indexes = list(islice(rows, size))
        content = b"[" + b",".join([self.models.row(index, fields) for index in indexes]) + b"]"
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if len(indexes) == size and next(rows, None) is not None:
            headers["Link"] = self._link(request, query, sort, ascending, indexes)
        if sort == "trendingScore":
            self.models.epoch += 1
        return Answer(200, headers, content)

    def _is_slow(self, begin: int, limit: int, config: bool) -> bool:
        rules = self.rules
        if config and rules.config_slow_from is not None and begin >= rules.config_slow_from:
            return True
        return rules.slow_from is not None and begin >= rules.slow_from and limit > rules.slow_limit

    def _depth(self, after: tuple[Any, int | None] | None, sort: str) -> int:
        return 0 if after is None else after[1] or 0 if sort in ("createdAt", "lastModified") else after[0]

    def _matching(
        self, query: dict[str, list[str]], sort: str, ascending: bool, after: tuple[Any, int | None] | None
    ) -> Iterator[int]:
        order = self.models.indexes(sort, ascending=ascending, after=after)
        if not any(name in query for name in ("filter", "search", "author", "gated", "pipeline_tag")):
            return order
        variants = {number for number in range(VARIANTS) if _fits(self.models.variants[number], query)}
        search, author = query.get("search", [""])[0].lower(), query.get("author", [""])[0].lower()

        def fits(index: int) -> bool:
            if index in self.models.overrides:
                if not _fits(self.models.document(index), query):
                    return False
            elif index % VARIANTS not in variants:
                return False
            name = self.models.id(index).lower() if search or author else ""
            return all(word in name for word in search.split()) and (not author or name.startswith(f"{author}/"))

        return filter(fits, order)

    def _after(self, query: dict[str, list[str]], sort: str) -> tuple[Any, int | None] | None:
        """Return the key that a cursor stands for: MongoDB's condition in base64, as the Hub's own."""
        if not (cursor := query.get("cursor", [""])[0]):
            return None
        if self.rules.refused_cursors > 0:
            self.rules.refused_cursors -= 1
            raise _Refused("Invalid cursor")
        if not self.rules.known_cursors and cursor not in self._given:
            raise _Refused("Invalid cursor")
        try:
            first, *_ = json.loads(base64.b64decode(cursor, validate=True))["$or"]
            if "_id" in first:
                return _number(first[sort]), int(next(iter(first["_id"].values())), 16) - 1
            return _number(next(iter(first[sort].values()))), None
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
            raise _Refused("Invalid cursor") from error

    def _link(
        self, request: Request, query: dict[str, list[str]], sort: str, ascending: bool, indexes: list[int]
    ) -> str:
        last = indexes[max(0, len(indexes) - 1 - self.rules.doubled)]
        value = self.models.key(last, sort)
        shown: Any = _iso(value) if sort in ("createdAt", "lastModified") else value
        sign = "$gt" if ascending else "$lt"
        condition = {"$or": [{sort: shown, "_id": {sign: f"{last + 1:024x}"}}, {sort: {sign: shown}}]}
        cursor = base64.b64encode(json.dumps(condition, separators=(",", ":")).encode()).decode()
        if self.rules.standing:
            cursor = query.get("cursor", [""])[0]
        self._given.add(cursor)
        pairs = [(name, value) for name, values in query.items() if name != "cursor" for value in values]
        base = self.rules.link_base or self.url
        return f'<{base}/api/models?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'

    def _model(self, request: Request, rest: str) -> Answer:
        """Answer for one model: its description, or whether the token may read its files."""
        check = rest.endswith("/auth-check")
        name = rest.removesuffix("/auth-check")
        if "%2f" in name.lower():
            return refusal(404, "", "Sorry, we can't find the page you are looking for.")
        index = self.models.find(unquote(name))
        if index is None:
            moved = self.models.former.get(unquote(name).lower())
            if moved is not None and moved not in self.models.deleted:
                target = quote(self.models.id(moved)) + ("/auth-check" if check else "")
                return Answer(307, {"Location": f"/api/models/{target}"})
            return super().answer(request)
        if request.token and request.token not in self.tokens:
            return refusal(401, "", "Invalid credentials in Authorization header")
        found = self.models.document(index)
        if not check:
            query = parse_qs(urlsplit(request.path).query)
            return document(self.models.document(index, _fields(query)) if "expand" in query else found)
        if found["gated"] and found["id"] not in self.tokens.get(request.token, ()):
            return refusal(403 if request.token else 401, "GatedRepo", f"Access to model {found['id']} is restricted.")
        return document({})


def _sort(query: dict[str, list[str]]) -> tuple[str, bool]:
    sort, direction = query.get("sort", ["trendingScore"])[0], query.get("direction", ["-1"])[0]
    if sort not in SORTS:
        raise _Refused(f'"sort" must be one of [{", ".join(SORTS)}]')
    return sort, direction == "1"


def _limit(query: dict[str, list[str]]) -> int:
    limit = query.get("limit", [str(_PAGE)])[0]
    if not limit.isdigit() or not int(limit):
        raise _Refused('"limit" must be a positive number')
    return int(limit)


def _fields(query: dict[str, list[str]]) -> tuple[str, ...]:
    wanted = [*query.get("expand", []), *query.get("expand[]", [])]
    if unknown := next((name for name in wanted if name not in FIELDS), ""):
        raise _Refused(f'"expand" must be one of [{", ".join(FIELDS)}], not {unknown}')
    if wanted and {"full", "config", "cardData"} & set(query):
        raise _Refused('"expand" may not be used with "full", "config" or "cardData"')
    return tuple(wanted) or PLAIN


def _fits(fields: Any, query: dict[str, list[str]]) -> bool:
    tags = [*(fields["tags"] or ()), fields["pipeline_tag"], fields["library_name"]]
    gated = query.get("gated", [""])[0]
    return (
        all(wanted in tags for one in query.get("filter", []) for wanted in one.split(","))
        and (not gated or bool(fields["gated"]) == (gated == "true"))
        and ("pipeline_tag" not in query or fields["pipeline_tag"] == query["pipeline_tag"][0])
    )


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return int(value)
    return round(datetime.fromisoformat(value).timestamp() * 1000)


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> None:
    """List models until killed; the first line of output is the port."""
    parser = argparse.ArgumentParser(description="A Hugging Face Hub that lists generated models.")
    parser.add_argument("--models", type=int, default=1000, help="how many")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quota", type=int, default=0, help="requests of a window; 0 for no limit")
    parser.add_argument("--window", type=float, default=300.0, help="seconds of a window")
    parser.add_argument("--root", type=Path, help="a folder with repositories that can also be downloaded")
    parser.add_argument(
        "--token", action="append", default=[], help="TOKEN=ID,ID: a token and the gated models it opens"
    )
    options = parser.parse_args()
    with HubList(GeneratedModels(options.models, options.seed), port=options.port, root=options.root) as hub:
        hub.rules.quota, hub.rules.window_s = options.quota, options.window
        for token, _, ids in (text.partition("=") for text in options.token):
            hub.tokens[token] = frozenset(ids.split(","))
        print(hub.port, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
