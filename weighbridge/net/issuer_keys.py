"""The public keys of an OpenID Connect issuer: found by discovery, kept, and read again when a token names another one.

A token names its key before anything of it is proven, so that a stream of forged tokens could become a stream of
requests to the issuer: it is asked one question at a time, and at most once in `ASK_EVERY_S`, whatever the answer was.
A request waits for the answer only for a moment, and only a few do at once, so that an issuer that hangs holds up no
other caller. Keys that were read stay valid while the issuer is away, for a day. Not here: tokens (net.issuer_tokens).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import jwt

from weighbridge.domain.text import shown
from weighbridge.errors import IssuerUnavailable, SourceMisbehaved, WeighbridgeError
from weighbridge.net.addresses import is_loopback
from weighbridge.net.transfer import Transfer

#: Seconds between two questions to the issuer, from the end of the first.
ASK_EVERY_S = 10.0
#: Seconds after which keys are read again, so that one that the issuer withdrew ends.
REFRESH_S = 300.0
#: Seconds for which keys are used that could not be read again.
KEEP_S = 24 * 3600.0
#: How many requests wait at once for an answer of the issuer, and until how many seconds after it was asked: of the
#: dozen that a process works on, few are held up, and each for a moment.
_MOST_WAITING, _WAIT_S = 4, 1.0
_MAX_DOCUMENT = 256 * 1024
_MIN_RSA_BITS = 2048
_DISCOVERY = "/.well-known/openid-configuration"
#: The algorithms that each type of key may verify: asymmetric ones only, so that no public key serves as a secret.
_ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifyingKey:
    """A public key of an issuer.

    Attributes:
        id: by which tokens name it; empty for none.
        algorithms: those that it may verify.
        public: the key, as the library for tokens takes it.
    """

    id: str
    algorithms: tuple[str, ...]
    public: Any


class IssuerKeys:
    """The keys of an issuer as a process knows them; safe for threads.

    Args:
        issuer: the issuer's URL, as its tokens have it.
        transfer: sends the requests.
        clock: returns seconds that only grow.
    """

    def __init__(self, issuer: str, transfer: Transfer, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._transfer, self._clock = issuer, transfer, clock
        self._lock, self._waiting = Lock(), BoundedSemaphore(_MOST_WAITING)
        self._question: _Question | None = None
        self._keys: tuple[VerifyingKey, ...] = ()
        self._read_at: float | None = None
        self._asked_at: float | None = None
        self._is_away = True

    def named(self, id_: str | None) -> tuple[VerifyingKey, ...]:
        """Return the keys with an id; without one, the only key that the issuer has.

        Raises:
            IssuerUnavailable: no such key is known, and the issuer does not answer now.
        """
        if found := _named(self._known(), id_):
            if self._age_s() > REFRESH_S:
                self._ask()
            return found
        if question := self._ask():
            self._wait(question)
        is_answered = question is None or question.answered.is_set()
        if not is_answered or self._is_away or self._age_s() > KEEP_S:
            raise IssuerUnavailable(
                "The token cannot be verified now: its issuer does not answer with its keys.",
                "Try again later, or use a key of this registry.",
                retry_after_s=ASK_EVERY_S,
            )
        return _named(self._known(), id_)

    def read(self) -> tuple[VerifyingKey, ...]:
        """Ask the issuer for its keys, whatever is known, and return them. Raises SourceError."""
        where = self._issuer.rstrip("/") + _DISCOVERY
        document = self._document(where)
        if document.get("issuer") != self._issuer:
            name = shown(document.get("issuer"), 200)
            raise SourceMisbehaved(
                f"{where} is the document of the issuer “{name}”, not of “{self._issuer}”.",
                "WEIGHBRIDGE_ISSUER has to be what the issuer calls itself, to the last slash.",
            )
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not self._is_safe(address):
            raise SourceMisbehaved(
                f"{where} names no protected address of keys: jwks_uri is “{shown(address, 200)}”.",
                "It has to begin with https://.",
            )
        values = self._document(address).get("keys")
        if not isinstance(values, list):
            raise SourceMisbehaved(f"{shown(address, 200)} is no set of keys (RFC 7517).")
        return tuple(key for key in map(_verifying_key, values) if key is not None)

    def _document(self, url: str) -> dict[str, Any]:
        answer = self._transfer.read(url, accept="application/json", max_size=_MAX_DOCUMENT)
        try:
            content = json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise SourceMisbehaved(f"{shown(url, 200)} is not JSON.") from error
        if not isinstance(content, dict):
            raise SourceMisbehaved(f"{shown(url, 200)} is not a JSON object.")
        return content

    def _is_safe(self, url: str) -> bool:
        """Return whether nobody on the way can replace what is read: https, or an issuer on this machine itself."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return False
        return parts.scheme == "https" or (
            parts.scheme == "http" and self._issuer.startswith("http:") and is_loopback(host)
        )

    def _age_s(self) -> float:
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    def _known(self) -> tuple[VerifyingKey, ...]:
        return self._keys if self._age_s() <= KEEP_S else ()

    def _ask(self) -> _Question | None:
        """Ask the issuer in a thread of its own, unless it was asked lately; return the question that is under way."""
        with self._lock:
            if self._question is None and (self._asked_at is None or self._clock() - self._asked_at >= ASK_EVERY_S):
                self._question = _Question()
                Thread(target=self._read_and_keep, name="keys of the issuer", daemon=True).start()
            return self._question

    def _wait(self, question: _Question) -> None:
        """Wait a moment for the answer to a question; not at all where enough others do."""
        if self._waiting.acquire(blocking=False):
            try:
                question.answered.wait(max(0.0, question.began_at + _WAIT_S - time.monotonic()))
            finally:
                self._waiting.release()

    def _read_and_keep(self) -> None:
        keys = None
        try:
            keys = self.read()
        except WeighbridgeError as error:
            _log.warning("The keys of the issuer %s could not be read: %s", self._issuer, error)
        finally:
            with self._lock:
                question, self._question = self._question, None
                self._asked_at, self._is_away = self._clock(), keys is None
                if keys is not None:
                    self._keys, self._read_at = keys, self._asked_at
            if question is not None:
                question.answered.set()


@dataclass(frozen=True)
class _Question:
    """A question to the issuer that is under way."""

    began_at: float = field(default_factory=time.monotonic)
    answered: Event = field(default_factory=Event)


def _named(keys: tuple[VerifyingKey, ...], id_: str | None) -> tuple[VerifyingKey, ...]:
    if id_ is None:
        return keys if len(keys) == 1 else ()
    return tuple(key for key in keys if key.id == id_)


def _verifying_key(value: object) -> VerifyingKey | None:
    """Return a key of a set, or None for one that verifies no token: of another use or type, too weak, or private."""
    if not isinstance(value, dict) or value.get("use", "sig") != "sig" or "d" in value:
        return None
    uses, id_ = value.get("key_ops", ["verify"]), value.get("kid", "")
    if not isinstance(uses, list) or "verify" not in uses or not isinstance(id_, str):
        return None
    curve = "" if value.get("kty") == "RSA" else str(value.get("crv"))
    algorithms = _ALGORITHMS.get((str(value.get("kty")), curve), ())
    if "alg" in value:
        algorithms = tuple(one for one in algorithms if one == value["alg"])
    if not algorithms:
        return None
    try:
        public = jwt.PyJWK(value, algorithms[0]).key
    except jwt.PyJWTError:
        return None
    if value["kty"] == "RSA" and public.key_size < _MIN_RSA_BITS:
        return None
    return VerifyingKey(id_, algorithms, public)
