"""The operations of one resource, as its module declares them; the application takes those of all resources.

FastAPI has routers of its own. An application that includes one makes each of its operations a second time, and looks
through the included routers more than once for each request. Not here: the application (web.app).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.params import Depends

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
#: What an OpenAPI document says of answers, by their status.
Responses = Mapping[int | str, dict[str, Any]]


class Router:
    """Collects operations; its decorators take the options of those of `fastapi.APIRouter`.

    Args:
        prefix: of every path.
        tags: of every operation.
        responses: of every operation.
    """

    def __init__(self, prefix: str = "", tags: Sequence[str] = (), responses: Responses | None = None) -> None:
        self._prefix, self._tags, self._responses = prefix, list(tags), dict(responses or {})
        self._operations: list[tuple[str, str, Callable[..., Any], dict[str, Any]]] = []

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that adds an operation to a path."""
        return self._adding("GET", path, options)

    def put(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that adds an operation to a path."""
        return self._adding("PUT", path, options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that adds an operation to a path."""
        return self._adding("POST", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that adds an operation to a path."""
        return self._adding("DELETE", path, options)

    def _adding(self, method: str, path: str, options: dict[str, Any]) -> Callable[[Endpoint], Endpoint]:
        def add(endpoint: Endpoint) -> Endpoint:
            self._operations.append((method, self._prefix + path, endpoint, options))
            return endpoint

        return add

    def methods(self) -> Iterator[tuple[str, str]]:
        """Yield path and method of every operation."""
        return ((path, method) for method, path, _, _ in self._operations)

    def add_to(self, app: FastAPI, prefix: str, dependencies: Sequence[Depends], responses: Responses) -> None:
        """Add every operation to an application.

        Args:
            app: the application.
            prefix: of every path.
            dependencies: solved before an operation's own.
            responses: of every operation, besides its own.
        """
        for method, path, endpoint, options in self._operations:
            app.add_api_route(
                prefix + path,
                endpoint,
                methods=[method],
                dependencies=dependencies,
                **options
                | {
                    "tags": [*self._tags, *options.get("tags", ())],
                    "responses": {**responses, **self._responses, **options.get("responses", {})},
                },
            )
