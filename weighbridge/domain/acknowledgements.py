"""Acknowledgements: a named person has read the licence of a model. The rule when that has to come first. Pure.

Not here: the stored ones (catalog.acknowledgements), and who is asked for one (intake.licensing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from weighbridge.domain.licence_terms import StatedLicence, is_restricted

#: Before files of which models are given out: of none, of those whose licence restricts their use, of all.
AcknowledgeFirst = Literal["never", "restricted", "always"]
#: How many acknowledgements of one caller a model may have; beyond it, only one that the caller still lacks is stored.
MOST_EACH = 100


@dataclass(frozen=True)
class Acknowledgement:
    """A person's word that they have read a licence.

    Attributes:
        id: counts up.
        version: the version of the model for which it was given.
        licence: the licence, as an SPDX expression where it is one; empty where none is stated.
        texts: sha256 of the licence's files in that version, by path.
        person: the name that the person gave.
        actor: the caller who sent it, as the audit log names callers.
        at: when; ISO 8601, UTC.
    """

    id: int
    version: str
    licence: str
    person: str
    actor: str
    at: str
    texts: Mapping[str, str] = field(default_factory=dict)


def is_needed(stated: StatedLicence, first: AcknowledgeFirst) -> bool:
    """Return whether the licence has to be acknowledged before files are given out."""
    return first == "always" or (first == "restricted" and is_restricted(stated))


def is_given(
    stated: StatedLicence, texts: Mapping[str, str], given: Iterable[Acknowledgement], actor: str, since: str = ""
) -> bool:
    """Return whether a caller has acknowledged a licence: the same one, with the same text, for any version.

    Args:
        stated: the licence now.
        texts: sha256 of its files now, by path; a changed text has to be read again.
        given: the acknowledgements of the model.
        actor: the caller.
        since: from when on they count, ISO 8601 in UTC: a key's name may have been another person's before.
    """
    return any(
        one.actor == actor
        and one.licence == stated.expression
        and sorted(one.texts.values()) == sorted(texts.values())
        and one.at >= since
        for one in given
    )
