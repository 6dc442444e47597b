"""Methods: a request whose method its path does not have is refused, with all of those that the path has.

A router answers for the first route of a path alone, and would take `GET /models/import` for the model called import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge.web.api.names import is_parameter, matches
from weighbridge.web.problems import of_status, respond


class MethodsOfPaths:
    """Refuses methods that a path does not have, before the application routes the request.

    Args:
        app: the application.
        paths: the methods of each route's path, with its parameters: `/api/models/{id}`.
    """

    def __init__(self, app: ASGIApp, paths: Mapping[str, Iterable[str]]) -> None:
        self._app = app
        split = [(tuple(path.split("/")), {method.upper() for method in methods}) for path, methods in paths.items()]
        self._routes = sorted(split, key=lambda route: sum(map(is_parameter, route[0])))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        methods = self._methods(scope["path"]) if scope["type"] == "http" else set()
        if not methods or scope["method"] in methods:
            await self._app(scope, receive, send)
            return
        allowed = methods | ({"HEAD"} if "GET" in methods else set())
        problem = of_status(
            405, f"{scope['method']} is not possible here.", f"Possible are {', '.join(sorted(methods))}."
        )
        await respond(problem, {"allow": ", ".join(sorted(allowed))})(scope, receive, send)

    def _methods(self, path: str) -> set[str]:
        parts = tuple(path.split("/"))
        return next((methods for route, methods in self._routes if matches(parts, route)), set())
