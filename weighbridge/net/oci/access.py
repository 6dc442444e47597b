"""Access to an OCI registry: Basic, or the tokens that a realm issues for one repository at a time.

The protocol of tokens is that of the Distribution project (docs/spec/auth/token.md), over Bearer of RFC 6750. Our
credentials are sent only to servers that ask for them; only a bearer token of the user is sent without a challenge.
Not here: which requests need access (oci.registry).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weighbridge.errors import AccessDenied, AddressRefused, InvalidReference, ModelNotFound, SourceMisbehaved
from weighbridge.net.auth import Auth
from weighbridge.net.transfer import Transfer
from weighbridge.net.www_authenticate import Challenge, read_challenges

#: Seconds for which a token is valid when its realm does not state it (docs/spec/auth/token.md).
DEFAULT_LIFETIME_S = 60
#: A token that is valid for less than this is renewed, so that none expires between two redirects.
MARGIN_S = 5
MAX_ANSWER = 256 * 1024
_MAX_SCOPES = 8

_Seconds = int | Annotated[float, Field(allow_inf_nan=False)]
_TokenText = Annotated[str, Field(pattern=r"^[\x21-\x7e]*$", max_length=32_768)]


class _Answer(BaseModel):
    """The response of a realm."""

    model_config = ConfigDict(strict=True)

    token: _TokenText = ""
    access_token: _TokenText = ""
    expires_in: _Seconds | None = None


@dataclass(frozen=True)
class _Grant:
    """The header for requests to a repository; for a token also the URL of its realm and its expiry."""

    header: str
    url: str = ""
    ends_s: float = float("inf")


class RegistryAccess:
    """The Authorization headers for one registry; safe for several threads.

    Credentials go to the registry itself; to a realm only when that has the registry's host name, on whatever port, or
    when the credentials are limited to hosts (`Auth.hosts`) and both are among these. A realm elsewhere gets none. A
    realm has to be reached over https, or as the registry itself is.

    Args:
        url: the registry's base URL.
        transfer: sends the requests to a realm.
        auth: our credentials.
        clock: returns seconds that only increase.
    """

    def __init__(self, url: str, transfer: Transfer, auth: Auth, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._transfer, self._auth, self._clock = url, transfer, auth, clock
        self._lock = Lock()
        self._grants: dict[str, _Grant] = {}

    def header(self, repository: str) -> str:
        """Return the known header for a repository, or nothing; a token that expires soon is renewed first.

        Raises:
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `answer`.
        """
        with self._lock:
            grant = self._grants.get(repository)
            if grant and grant.url and grant.ends_s <= self._clock():
                grant = self._grants[repository] = self._asked(grant.url)
        if grant:
            return grant.header
        return "" if self._auth.username else self._auth.header(self._url)

    def answer(self, repository: str, challenge: str, refused: str) -> str:
        """Return the header that answers a challenge, or nothing when the refused one is the only one.

        Args:
            repository: its name in the registry.
            challenge: the WWW-Authenticate header.
            refused: the Authorization header that was refused, or empty.

        Raises:
            AccessDenied: the realm refuses, or its address is not allowed.
            SourceUnavailable: the realm is unreachable or busy.
            SourceMisbehaved: the realm is not a valid URL, or its response is not a token.
        """
        with self._lock:
            known = self._grants.get(repository)
            if known and known.header != refused:  # another thread has renewed it
                return known.header
            grant = self._granted(repository, read_challenges(challenge))
            if grant is None or grant.header == refused:
                self._grants.pop(repository, None)
                return ""
            self._grants[repository] = grant
            return grant.header

    def _granted(self, repository: str, challenges: tuple[Challenge, ...]) -> _Grant | None:
        offered: Mapping[str, Challenge] = {challenge.scheme: challenge for challenge in reversed(challenges)}
        bearer = offered.get("bearer")
        if bearer and bearer.parameters.get("realm"):
            if self._auth.token and self._auth.header(self._url):
                return None  # the user's bearer token was refused, and there is nothing else
            return self._asked(_token_url(self._url, bearer, repository))
        if "basic" in offered and self._auth.username:
            header = self._auth.header(self._url)
            return _Grant(header) if header else None
        return None

    def _asked(self, url: str) -> _Grant:
        """Request a token from a realm."""
        host = urlsplit(url).hostname or ""
        began_s = self._clock()
        try:
            document = self._transfer.read(
                url, accept="application/json", authorization=self._credentials(url), max_size=MAX_ANSWER
            )
            answer = _Answer.model_validate_json(document.content)
        except AddressRefused:
            raise
        except AccessDenied as error:
            raise AccessDenied(
                f"{host} issues no token for {self._url}.",
                "Check user and password (user:password in --token-env or --token-file). They go to the registry's own "
                "host only, unless auth: in models.yaml names the hosts they are for.",
                **error.facts,
            ) from error
        except (ModelNotFound, InvalidReference, ValidationError) as error:
            raise SourceMisbehaved(
                f"{self._url} names {host} for tokens, which issues none.", "Ask the registry's operator."
            ) from error
        token = answer.token or answer.access_token
        if not token:
            raise SourceMisbehaved(f"{host} answers without a token.", "Ask the registry's operator.")
        lifetime_s = DEFAULT_LIFETIME_S if answer.expires_in is None else min(max(answer.expires_in, 0), 86_400)
        return _Grant(f"Bearer {token}", url, began_s + lifetime_s - (MARGIN_S if lifetime_s > 2 * MARGIN_S else 0))

    def _credentials(self, realm: str) -> str:
        if not self._auth.username:
            return ""
        if self._auth.hosts:  # else a registry that is not among them could obtain a token
            return self._auth.header(realm) if self._auth.header(self._url) else ""
        return self._auth.header(realm) if urlsplit(realm).hostname == urlsplit(self._url).hostname else ""


def _token_url(registry: str, challenge: Challenge, repository: str) -> str:
    """Return the URL to request a token from.

    Raises:
        SourceMisbehaved: the realm is not a plain address, or is less protected than the registry.
    """
    realm = challenge.parameters["realm"]
    try:
        parts = urlsplit(realm)
        plain = parts.hostname and (parts.port or 1) and "@" not in parts.netloc and realm.isascii()
    except ValueError:
        plain = False
    if not plain or not realm.isprintable() or " " in realm or parts.fragment:
        raise SourceMisbehaved(f"{registry} names an invalid address for tokens.")
    if parts.scheme not in ("https", urlsplit(registry).scheme):
        raise SourceMisbehaved(
            f"{registry} names {parts.hostname} for tokens, over “{parts.scheme}:”.",
            "Tokens are requested only over https: ask the registry's operator.",
        )
    service = challenge.parameters.get("service", "")
    query = ([("service", service)] if service else []) + [
        ("scope", scope) for scope in _scopes(challenge.parameters.get("scope", ""), repository)
    ]
    return f"{realm}{'&' if parts.query else '?'}{urlencode(query)}"


def _scopes(asked: str, repository: str) -> list[str]:
    """Return the scopes of a token: the repositories that the registry names, and no right but to pull."""
    scopes = []
    for scope in asked.split()[:_MAX_SCOPES]:
        kind, _, name = scope.rpartition(":")[0].partition(":")
        if kind.partition("(")[0] == "repository" and name:
            scopes.append(f"{kind}:{name}:pull")
    return list(dict.fromkeys(scopes)) or ([f"repository:{repository}:pull"] if repository else [])
