"""Requests to a Prefect server's REST API, with its failures as our errors.

Prefect's own client is not used, as the library never imports Prefect. Not here: what is asked (net.prefect_runs,
net.prefect_schedules).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from weighbridge.errors import InvalidConfiguration, SourceUnavailable
from weighbridge.net.responses import shown

_TIMEOUT_S = 10.0


@contextmanager
def prefect_client(api_url: str, credentials: str = "") -> Iterator[httpx.Client]:
    """Yield a client of a Prefect server.

    Args:
        api_url: the server's URL, as in PREFECT_API_URL.
        credentials: `user:password`, or empty.

    Raises:
        InvalidConfiguration: it is not a URL.
        SourceUnavailable: the server does not answer, or not in Prefect's form.
    """
    try:
        where = shown(api_url)
    except httpx.InvalidURL as error:
        raise InvalidConfiguration("PREFECT_API_URL is not a URL.", "Write http://host:4200/api.") from error
    user, _, password = credentials.partition(":")
    auth = httpx.BasicAuth(user, password) if credentials else None
    try:
        with httpx.Client(base_url=api_url, auth=auth, timeout=_TIMEOUT_S, follow_redirects=True) as client:
            yield client
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise SourceUnavailable(
            f"The request to the Prefect server at {where} failed: {_words(error)}.",
            "Start it with `prefect server start`, or correct PREFECT_API_URL and PREFECT_API_AUTH_STRING.",
        ) from error


def _words(error: Exception) -> str:
    """Return an error's text without the address in it, which may hold a password."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers with HTTP {error.response.status_code}"
    return str(error) or type(error).__name__
