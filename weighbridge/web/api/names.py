"""Names of models in paths: a name may hold slashes, written plainly or percent-encoded.

`/models/org/name/versions` is ambiguous for a router, and servers decode `%2F` before they route. So the raw path is
split here, by the routes that the application has, and the name becomes one segment again:

1. A path that is a route without a name, such as `/models/leaderboard`, is left alone.
2. Otherwise the name ends before the longest tail that is a route, such as `/versions/{version}`; the rest is the name.
3. Words of routes count only as they are written: `%6Ceaderboard` is a model called leaderboard.

A name that itself ends like a route (`org/versions`) is written with `%2F`: `org%2Fversions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import Path
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge.domain.names import MAX_NAME_BYTES


def read_escaped(escaped: str) -> str:
    """Return a parameter of a path as the client meant it: `_escaped` wrote it. Raises ValueError for a long one."""
    text = unquote(escaped)
    if len(text) > MAX_NAME_BYTES:
        raise ValueError(f"it has more than {MAX_NAME_BYTES} characters")
    return text


# The length is that of the text, and not of its escaped form, which pydantic would measure.
_LENGTH: dict[str, Any] = {"maxLength": MAX_NAME_BYTES}
Name = Annotated[
    str,
    Path(
        alias="id",
        description="The model's name; a slash in it may be written `/` or `%2F`.",
        json_schema_extra=_LENGTH,
        examples=["smollm2-135m-instruct"],
    ),
    AfterValidator(read_escaped),
]
Number = Annotated[
    str,
    Path(alias="version", description="The version's number.", json_schema_extra=_LENGTH, examples=["1.0.0"]),
    AfterValidator(read_escaped),
]


#: Words that stand for something else directly below `/models`: a model of such a name is written escaped.
RESERVED = frozenset({"import", "leaderboard"})


def path_of(name: str) -> str:
    """Return a model's name as a segment of a path."""
    return _escaped(name) if name in RESERVED else quote(name, safe="")


class NamesInPaths:
    """Makes each model's name one segment of the path, before the application routes the request.

    Args:
        app: the application.
        root: the path that models are below: `/api/models`.
        paths: the paths of every route, with their parameters: `/api/models/{id}/versions`.
    """

    def __init__(self, app: ASGIApp, root: str, paths: Iterable[str]) -> None:
        self._app, self._root = app, f"{root}/"
        below = [tuple(path.removeprefix(self._root).split("/")) for path in paths if path.startswith(self._root)]
        self._fixed = [parts for parts in below if not is_parameter(parts[0])]
        tails = {parts[1:] for parts in below if is_parameter(parts[0])}
        self._tails = sorted(tails, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        if scope["type"] == "http":
            scope = {**scope, "path": self.routed(scope["raw_path"].decode("latin-1"), scope["path"])}
        await self._app(scope, receive, send)

    def routed(self, raw_path: str, path: str) -> str:
        """Return the path to route by.

        Args:
            raw_path: as the client wrote it, without the query.
            path: the same, decoded; returned for paths that name no model.
        """
        if not raw_path.startswith(self._root):
            return path
        parts = tuple(raw_path.removeprefix(self._root).split("/"))
        if any(matches(parts, pattern) for pattern in self._fixed):
            return path
        tail = next(
            (tail for tail in self._tails if len(parts) > len(tail) and matches(parts[len(parts) - len(tail) :], tail)),
            (),
        )
        name, rest = parts[: len(parts) - len(tail)], parts[len(parts) - len(tail) :]
        if "" in parts:
            return path
        written = (_escaped(part) if is_parameter(pattern) else part for part, pattern in zip(rest, tail, strict=True))
        return self._root + "/".join((_escaped("/".join(name)), *written))


def is_parameter(part: str) -> bool:
    """Return whether a segment of a route's path is a parameter."""
    return part.startswith("{")


def matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether the segments of a path are those of a route."""
    return len(parts) == len(pattern) and all(
        is_parameter(wanted) or part == wanted for part, wanted in zip(parts, pattern, strict=True)
    )


def _escaped(text: str) -> str:
    """Return text as one segment in which every byte is escaped, so that it never equals a word of a route."""
    return re.sub("..", lambda pair: f"%{pair[0]}", unquote(text).encode().hex())
