"""Access: roles, callers and what they may do, and the text of a key.

A key's text is `hf_wb`, 256 random bits as 43 letters and digits, and 6 letters and digits of checksum: clients of the
Hugging Face Hub send a token of that shape and no other, secret scanners recognise it, and a mistyped key is refused
without a question to the catalog. Not here: the stored keys (catalog.keys).
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Literal, get_args

from weighbridge.domain.durations import parsed
from weighbridge.domain.name_patterns import matches_any
from weighbridge.domain.text import shown
from weighbridge.errors import UsageError

#: What a caller may do, each one all that the ones before it may: read; take models in and change them; also see
#: what errors say of the server's machines.
Role = Literal["reader", "publisher", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
#: How a caller is known: by a key of the catalog, by a token of the organisation's issuer, by one of a Hub which the
#: mirror passes on, as the user of a command, or not at all; or it is the mirror itself, which follows a branch.
CallerKind = Literal["key", "issuer", "hub", "cli", "anonymous", "mirror"]
KINDS: tuple[CallerKind, ...] = get_args(CallerKind)

PREFIX = "hf_wb"
_RANDOM_LETTERS, _CHECKSUM_LETTERS = 43, 6
#: The shape of a key, also for the secret scanner of an organisation; `looks_like_key` checks the checksum too.
KEY_PATTERN = rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_LETTERS + _CHECKSUM_LETTERS}}}"
_KEY = re.compile(KEY_PATTERN)
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Letters of a pattern of models' names, and those among them that stand for others.
_MAX_PATTERN_LENGTH, _MAX_WILDCARDS = 255, 16


@dataclass(frozen=True)
class Caller:
    """The person or program that makes a request.

    Attributes:
        name: the key's name, the subject of the issuer's token, or the beginning of the hash of a Hub's token.
        role: the role.
        models: patterns of the names of models that the role holds for, such as `team-a/*`; empty for every model.
        kind: how the caller is known.
        key_id: the key's row in the catalog, as the name of a revoked key may be given again; None without a key.
    """

    name: str
    role: Role
    models: tuple[str, ...] = ()
    kind: CallerKind = "key"
    key_id: int | None = None

    @property
    def credential(self) -> str:
        """What the caller is known by, in words."""
        return "token" if self.kind in ("issuer", "hub") else "key"

    @cached_property
    def actor(self) -> str:
        """The caller as the audit log names it: `key:NAME`, `issuer:SUBJECT`, `hub:HASH`, `cli:USER` or `anonymous`."""
        return self.kind if self.kind == "anonymous" else f"{self.kind}:{shown(self.name, 200)}"

    def may(self, needed: Role, model: str = "") -> bool:
        """Return whether the caller may do what needs a role, to a model; without one, whether the role suffices."""
        if not suffices(self.role, needed):
            return False
        return not model or matches_any(model, self.models)

    def may_everywhere(self, needed: Role) -> bool:
        """Return whether the caller may do what needs a role to every model: what patterns limit may not."""
        return not self.models and self.may(needed)


#: A caller without a key, where reading is open.
ANONYMOUS = Caller("", "reader", kind="anonymous")


def suffices(role: Role, needed: Role) -> bool:
    """Return whether who has a role may do what needs another one."""
    return ROLES.index(role) >= ROLES.index(needed)


def checked_role(text: str) -> Role:
    """Return a role from its name. Raises UsageError for another text."""
    for role in ROLES:
        if role == text:
            return role
    raise UsageError(f"There is no role “{shown(text, 40)}”.", f"Roles: {', '.join(ROLES)}.", role=text)


def checked_key_name(name: str) -> str:
    """Return the name of a key unchanged when it is valid. Raises UsageError."""
    if not _KEY_NAME.fullmatch(name):
        raise UsageError(
            f"A key cannot be named “{shown(name, 80)}”.",
            "Use at most 64 letters, digits and . _ -, beginning with a letter or a digit.",
            name=name,
        )
    return name


def checked_models(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of models' names, each one once. Raises UsageError for one that no name can match."""
    checked = tuple(dict.fromkeys(patterns))
    for pattern in checked:
        visible = pattern and shown(pattern) == pattern == pattern.strip()
        if not visible or len(pattern) > _MAX_PATTERN_LENGTH or pattern.startswith("/") or "," in pattern:
            raise UsageError(
                f"The pattern “{shown(pattern, 80)}” matches no model's name.",
                "Write a name, or a part of one with *, such as team-a/*; repeat the option for more than one pattern.",
                pattern=pattern,
            )
        if sum(pattern.count(sign) for sign in "*?[") > _MAX_WILDCARDS:
            raise UsageError(
                f"The pattern “{shown(pattern, 80)}” has more than {_MAX_WILDCARDS} of the signs * ? [.",
                "One * stands for any text; write several patterns for several models.",
                pattern=pattern,
            )
    return checked


def checked_expiry(text: str, now: datetime) -> datetime:
    """Return when a key ends that is valid for `90d`, `12h` or `8w`, or until the end of a day, `2027-03-31`, in UTC.

    Raises:
        UsageError: it is none of these, or in the past.
    """
    length = parsed(text)
    try:
        if length is not None:
            end = now + length
        else:
            end = datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"A key cannot be valid until “{shown(text, 40)}”.", "Write 90d, 12h, 8w, or its last day: 2027-03-31."
        ) from error
    if end <= now:
        raise UsageError(f"“{text}” is in the past: the key would never be valid.", "Write a later day.")
    return end


def new_key() -> str:
    """Return the text of a new key."""
    text = PREFIX + _base62(secrets.randbits(256), _RANDOM_LETTERS)
    return text + _checksum(text)


def looks_like_key(text: str) -> bool:
    """Return whether a text has the shape and the checksum of a key."""
    if not _KEY.fullmatch(text):
        return False
    return text[-_CHECKSUM_LETTERS:] == _checksum(text[:-_CHECKSUM_LETTERS])


def hash_of(key: str) -> str:
    """Return what is stored of a key, sha256 in hexadecimal: 256 random bits need no slower hash."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LETTERS)


def _base62(number: int, width: int) -> str:
    letters = ""
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[digit] + letters
    return letters
