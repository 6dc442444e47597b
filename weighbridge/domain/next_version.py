"""The next semantic version of a model, from the difference to the version before (spec 4). Pure.

Architecture or vocabulary changed: major. Weights changed: minor. Anything else: patch. Not here: what versions exist
(catalog).
"""

from __future__ import annotations

from collections import Counter

from semver import Version

from weighbridge.domain.card import ModelCard
from weighbridge.domain.format_names import may_hold_weights
from weighbridge.domain.manifest import Manifest
from weighbridge.errors import UsageError

FIRST = "1.0.0"
#: Card fields whose change breaks the model's users.
_BREAKING = ("architecture", "vocab_size", "tokenizer")


def next_version(
    previous: tuple[str, ModelCard, Manifest] | None, card: ModelCard, manifest: Manifest, wanted: str = ""
) -> str:
    """Return the version that a model gets.

    Args:
        previous: version, card and files of the version before, or None for the first.
        card: what the model is now.
        manifest: its files now.
        wanted: the version that the user asks for, or empty.

    Raises:
        UsageError: `wanted` is not a semantic version, or not greater than the one before.
    """
    if wanted:
        return _accept(wanted, previous[0] if previous else None)
    if previous is None:
        return FIRST
    before = Version.parse(previous[0])
    if _breaks(previous[1], card):
        return str(before.bump_major())
    if _weights(previous[2]) != _weights(manifest):
        return str(before.bump_minor())
    return str(before.bump_patch())


def contradiction(previous: tuple[str, ModelCard, Manifest], card: ModelCard, manifest: Manifest, given: str) -> str:
    """Return how a number that a user gave contradicts what changed since the version before; empty where it does not.

    Args:
        previous: version, card and files of the version before.
        card: what the model is now.
        manifest: its files now.
        given: its number.
    """
    before, computed = previous[0], next_version(previous, card, manifest)
    change = _change(before, computed)
    if change == _change(before, given):
        return ""
    return f"What changed since {before} is a {change} change, which would be {computed}; it was given {given}."


def _change(before: str, after: str) -> str:
    old, new = Version.parse(before), Version.parse(after)
    return next(
        part for part in ("major", "minor", "patch") if part == "patch" or getattr(old, part) != getattr(new, part)
    )


def checked_number(number: str) -> str:
    """Return a version's number unchanged when it is a semantic version. Raises UsageError."""
    _parsed(number)
    return number


def _parsed(number: str) -> Version:
    try:
        return Version.parse(number)
    except ValueError as error:
        raise UsageError(
            f"“{number}” is not a semantic version.", "Write major.minor.patch, such as 1.2.0.", version=number
        ) from error


def _accept(wanted: str, before: str | None) -> str:
    version = _parsed(wanted)
    if before is not None and version <= Version.parse(before):
        raise UsageError(
            f"The version {wanted} is not greater than {before}, the one before it.",
            "Ask for a greater one, or for none: it is then computed from what changed.",
            version=wanted,
            previous=before,
        )
    return str(version)


def _breaks(before: ModelCard, now: ModelCard) -> bool:
    """Return whether a breaking field has another value; a field that only one of the cards has does not count."""
    pairs = ((before.get(name), now.get(name)) for name in _BREAKING)
    return any(old is not None and new is not None and old != new for old, new in pairs)


def _weights(manifest: Manifest) -> Counter[str]:
    """Return the digests of the weights, without the names of their files."""
    return Counter(str(entry.digest) for entry in manifest.files if may_hold_weights(entry.path))
