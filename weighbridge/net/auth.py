"""Credentials for one service: a token, or a user with a password; no value shows in a repr."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

import httpx

from weighbridge.domain.name_patterns import matches
from weighbridge.errors import InvalidConfiguration


@dataclass(frozen=True)
class Auth:
    """Credentials for one source; no value shows in a repr.

    Attributes:
        token: a bearer token; with AWS keys, the session token.
        username: the user of basic authentication; or AWS's access key id.
        password: the password of that user; or AWS's secret access key.
        hosts: patterns of hosts that they may be sent to (`*.example.com`); empty where the source alone decides.

    Raises:
        InvalidConfiguration: no header can hold them; an HTTP client would quote them in its error.
    """

    token: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.token.isascii() or not (self.token + self.username + self.password).isprintable():
            raise InvalidConfiguration(
                "The credentials cannot be sent: they hold a line break, or a token with letters beyond ASCII.",
                "Check that their place holds one token, or one user:password, and nothing else.",
            )

    @classmethod
    def parse(cls, text: str, hosts: tuple[str, ...] = ()) -> Auth:
        """Return the credentials in the text of a variable or a file: `user:password`, else a token.

        No bearer token holds a colon (RFC 6750, section 2.1).
        """
        username, colon, password = text.strip().partition(":")
        return cls("", username, password, hosts) if colon else cls(username, hosts=hosts)

    def __bool__(self) -> bool:
        return bool(self.token or self.username)

    def may_go_to(self, url: str) -> bool:
        """Return whether they may be sent to the host of `url`, parsed as the HTTP client parses it."""
        try:
            host = httpx.URL(url).raw_host.decode("ascii").lower()
        except httpx.InvalidURL:
            return False
        return not self.hosts or any(matches(host, pattern.lower()) for pattern in self.hosts)

    def header(self, url: str) -> str:
        """Return the Authorization header for a request to `url`; empty without credentials, or not for that host."""
        return self._header if self.may_go_to(url) else ""

    @property
    def _header(self) -> str:
        if self.username:
            return f"Basic {b64encode(f'{self.username}:{self.password}'.encode()).decode()}"
        return f"Bearer {self.token}" if self.token else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every text that must not be shown anywhere."""
        return tuple(text for text in (self.token, self.password, self._header.partition(" ")[2]) if text)
