"""Callers: keys are made, and the text that a request brings becomes a caller.

Not here: what a caller may do (domain.access), the stored keys (catalog.keys), and tokens of an issuer (intake.issuer).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Lock, Thread

from weighbridge.catalog import Catalog
from weighbridge.catalog.kept import Kept
from weighbridge.catalog.keys import USE_EVERY, AccessKey
from weighbridge.domain.access import (
    Caller,
    checked_expiry,
    checked_key_name,
    checked_models,
    checked_role,
    hash_of,
    looks_like_key,
    new_key,
)
from weighbridge.domain.audit import Head
from weighbridge.domain.claims import looks_like_token
from weighbridge.errors import CatalogError, NotAuthenticated, StateConflict
from weighbridge.intake.issuer import Issuer

_log = logging.getLogger(__name__)
#: The name of the key that a served registry makes where there is none.
FIRST_KEY = "first-admin"
#: Keys that are kept in memory.
_MOST_KEPT = 10_000
_MAKE_ONE = "`weighbridge token create NAME --role ROLE` makes a new one."


def create_key(
    catalog: Catalog, name: str, role: str, *, now: datetime, expires: str = "", models: tuple[str, ...] = ()
) -> tuple[AccessKey, str]:
    """Make a key and return it with its text, which is stored nowhere.

    Args:
        catalog: where it is stored, for changes of the person who makes it.
        name: its name.
        role: reader, publisher or admin.
        now: the time.
        expires: how long it is valid, `90d`, or its last day, `2027-03-31`; empty for no end.
        models: patterns of the models that it is for; empty for all.

    Raises:
        UsageError: one of them is not valid.
        StateConflict: there is a key of that name.
    """
    text = new_key()
    until = checked_expiry(expires, now) if expires else None
    key = catalog.keys.add(checked_key_name(name), hash_of(text), checked_role(role), checked_models(models), until)
    return key, text


def first_key(catalog: Catalog, now: datetime) -> str:
    """Make an admin's key where the catalog has never had a key, and return its text; else return an empty text."""
    if catalog.keys.listed():
        return ""
    try:
        return create_key(catalog, FIRST_KEY, "admin", now=now)[1]
    except StateConflict:  # Another process was faster, and shows its text.
        return ""


class Callers:
    """Knows the callers of a served process; safe for threads. A revoked key is refused from the next request on.

    Args:
        catalog: has the keys.
        clock: returns the current time.
        issuer: gives out bearer tokens; None where there is no such issuer.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], datetime], issuer: Issuer | None = None) -> None:
        self._catalog, self._clock, self._issuer = catalog, clock, issuer
        self._kept: Kept[str, AccessKey] = Kept(_MOST_KEPT)
        self._noting = Lock()
        self._noted: dict[int, datetime] = {}

    def known(self, token: str, newest: Head) -> Caller | None:
        """Return the caller that sends a valid key which `caller` found after the newest change, or None."""
        key = self._kept.get(newest, hash_of(token))
        return self._admitted(key) if key is not None and key.state(self._clock()) == "valid" else None

    def caller(self, token: str, newest: Head | None = None) -> Caller:
        """Return the caller that sends a key, or a token of the issuer.

        Args:
            token: the key or token.
            newest: the newest change of the catalog: the key is kept for `known` until the next one.

        Raises:
            NotAuthenticated: it is neither, or one that is unknown, revoked or expired.
            NotPermitted: the issuer's token gives no role here.
            IssuerUnavailable: the issuer's token cannot be verified now.
        """
        if self._issuer is not None and looks_like_token(token):
            return self._issuer.caller(token)
        if not looks_like_key(token):
            raise NotAuthenticated("The request's token is not a key of this registry.", _MAKE_ONE)
        key = self._catalog.keys.of(hash_of(token))
        if key is None:
            raise NotAuthenticated("The key is not one of this registry.", _MAKE_ONE)
        if newest is not None:
            self._kept.put(newest, hash_of(token), key)
        return self._admitted(key)

    def _admitted(self, key: AccessKey) -> Caller:
        now = self._clock()
        if key.state(now) != "valid":
            raise NotAuthenticated(f"The key {key.name} is {key.state(now)}.", _MAKE_ONE, name=key.name)
        self._note_use(key.id, now)
        return key.caller

    def _note_use(self, id_: int, now: datetime) -> None:
        """Store the time of a use beside the request, which does not wait for other writers of the catalog."""
        with self._noting:
            if id_ in self._noted and now - self._noted[id_] < USE_EVERY:
                return
            self._noted[id_] = now
        Thread(target=self._store_use, args=(id_, now), name="use of a key", daemon=True).start()

    def _store_use(self, id_: int, now: datetime) -> None:
        try:
            self._catalog.keys.note_use(id_, now)
        except CatalogError as error:
            _log.warning("The last use of a key was not stored: %s", error)
