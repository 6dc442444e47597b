"""Webhooks as values: which changes are events, where a message goes, and the secret that signs it.

A secret is derived from the operator's one and a name, so that none is stored. Not here: stored subscriptions
(catalog.subscriptions) and messages (catalog.deliveries), and sending them (intake.delivery).
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, get_args
from urllib.parse import urlsplit

from weighbridge.domain.audit import AuditRow
from weighbridge.domain.text import shown
from weighbridge.errors import InvalidConfiguration, UsageError

EventType = Literal[
    "version.passed",
    "version.quarantined",
    "version.withdrawn",
    "version.regressed",
    "licence.acknowledged",
    "hub.model.changed",
    "hub.refreshed",
]
EVENTS: tuple[EventType, ...] = get_args(EventType)
MAX_URL_LENGTH = 2048
#: Letters of sha256 that name the operator's secret in a signer.
_MARK_LETTERS = 12


@dataclass(frozen=True)
class Destination:
    """Where messages go, and with whose secret they are signed.

    Attributes:
        url: of the receiver; it may hold a secret, and is shown by `origin` only.
        signer: names the secret, as `SigningKey.signer` has it, and is not secret itself.
        key_id: the row of the key whose owner the receiver is for: once that key is not valid, nothing goes there;
            None for a caller of the issuer's.
    """

    url: str = field(repr=False)
    signer: str
    key_id: int | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URL, which are safe to show."""
        return origin(self.url)


@dataclass(frozen=True)
class SigningKey:
    """The operator's secret, of which those of all receivers are derived.

    Attributes:
        secret: the secret.
    """

    secret: bytes = field(repr=False)

    def signer(self, name: str) -> str:
        """Return the name of a receiver's secret, with a mark of the operator's."""
        return f"{self._mark}/{name}"

    def secret_of(self, signer: str) -> str:
        """Return a receiver's secret, as Standard Webhooks writes it.

        Raises:
            InvalidConfiguration: the signer was named with another secret of the operator's.
        """
        mark, _, name = signer.partition("/")
        if mark != self._mark:
            raise InvalidConfiguration(
                "The message was to be signed with another WEIGHBRIDGE_WEBHOOK_SECRET than this server has.",
                "Give every server of the catalog the same one; after a change of it, subscribe anew.",
            )
        return "whsec_" + b64encode(hmac.digest(self.secret, name.encode(), "sha256")).decode()

    @property
    def _mark(self) -> str:
        return sha256(b"mark of " + self.secret).hexdigest()[:_MARK_LETTERS]


def event_of(row: AuditRow) -> EventType | None:
    """Return what kind of event a change is; None where no subscription is about it.

    A verdict is an event when the version's status changes by it, not when a version is judged the same again.
    """
    before, after = (dict(value or {}).get("status") for value in (row.before, row.after))
    if row.action in ("version.settled", "version.reinstated"):
        if after == before:
            return None
        return "version.passed" if after == "PASSED" else "version.quarantined" if after == "FAILED" else None
    return next((event for event in EVENTS if event == row.action), None)


def checked_events(events: Iterable[str]) -> tuple[EventType, ...]:
    """Return kinds of events in their order, each one once. Raises UsageError for another text, or none."""
    wanted = set(events)
    if not wanted or not wanted <= set(EVENTS):
        unknown = ", ".join(f"“{shown(one, 40)}”" for one in sorted(wanted - set(EVENTS))[:3])
        problem = f"There is no event {unknown}." if unknown else "A subscription needs an event."
        raise UsageError(problem, f"Events: {', '.join(EVENTS)}.")
    return tuple(event for event in EVENTS if event in wanted)


def checked_url(url: str) -> str:
    """Return the URL of a receiver unchanged when it is valid. Raises UsageError, which holds no part of the URL."""
    try:
        parts = urlsplit(url)
        valid = bool(parts.scheme and parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UsageError("The receiver's address is not a URL.", "Write https://host/path, with ASCII letters only.")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "The receiver's address holds a user or a password.", "Take them out: the signature says who sends."
        )
    if parts.fragment:
        raise UsageError("The receiver's address has a part after #, which is never sent.", "Take it out.")
    if len(url) > MAX_URL_LENGTH:
        raise UsageError(f"The receiver's address has more than {MAX_URL_LENGTH} letters.", "Use a shorter one.")
    return url


def origin(url: str) -> str:
    """Return scheme, host and port of a valid URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
