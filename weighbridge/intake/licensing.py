"""Licensing: the licence of a version, who has acknowledged it, and who may be given its files.

Whatever gives out files of a version to a caller asks `refuse_unacknowledged` first. Not here: what licences allow and
whether a use is allowed (domain.licence_terms).
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from weighbridge.catalog import Catalog
from weighbridge.config.policy_file import load_policy, policy_state
from weighbridge.config.settings import Settings
from weighbridge.domain.access import Caller
from weighbridge.domain.acknowledgements import MOST_EACH, AcknowledgeFirst, Acknowledgement, is_given, is_needed
from weighbridge.domain.declarations import ModelDeclaration, contradictions, stated_licence
from weighbridge.domain.licence_names import is_licence_file
from weighbridge.domain.licence_terms import (
    Because,
    PlannedUse,
    StatedLicence,
    UseJudgement,
    is_restricted,
    judge,
    restrictions_of,
    unknown_names,
    unverified_names,
)
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import InvalidConfiguration, LicenceNotAcknowledged, StateConflict
from weighbridge.intake.lookup import exact
from weighbridge.intake.workspace import Workspace

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LicenceStanding:
    """The licence of a version, and how a caller stands to it.

    Attributes:
        version: the version.
        declaration: what a person says of its model, or None.
        texts: sha256 of the licence's files, by path.
        needed: whether the licence has to be acknowledged before files are given out.
        given: whether the caller has acknowledged it.
    """

    version: ModelVersion
    declaration: ModelDeclaration | None
    texts: Mapping[str, str]
    needed: bool
    given: bool

    @property
    def stated(self) -> StatedLicence:
        """The licence, and who states it."""
        return stated_licence(self.version.card, self.declaration)

    @property
    def lacking(self) -> bool:
        """Whether the caller still has to acknowledge the licence."""
        return self.needed and not self.given

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller should know, a sentence each."""
        found = [one for one in contradictions(self.version.card, self.declaration) if one.startswith("license_")]
        if not self.stated.expression:
            found.append("No licence is stated: ask the model's publisher for permission before it is used.")
        found += [
            f"What the licence {shown(name, 80)} allows is not known here." for name in unknown_names(self.stated)
        ]
        found += [
            f"What is said here of the licence {shown(name, 80)} was not compared with its text: read that."
            for name in unverified_names(self.stated)
        ]
        if limit := _limit(self.stated):
            found.append(f"{limit} GET /models/{self.version.name}/license has its conditions.")
        if self.lacking:
            found.append(f"{_LACKING} {_remedy(self.version.name)}")
        return tuple(found)


_LACKING = "The policy demands that the licence is acknowledged before files are given out."


def standing(version: ModelVersion, caller: Caller, catalog: Catalog, demand: AcknowledgeFirst) -> LicenceStanding:
    """Return how a caller stands to the licence of a version.

    Args:
        version: the version.
        caller: the caller.
        catalog: has the version.
        demand: when the operator's policy demands that a licence is acknowledged, as `demanded` returns it.
    """
    declaration = catalog.declarations.of(version.name)
    stated, texts = stated_licence(version.card, declaration), licence_texts(version)
    needed = is_needed(stated, demand)
    read = catalog.acknowledgements.of(version.name, actor=caller.actor)
    given = bool(read) and is_given(stated, texts, read, caller.actor, since=_known_since(caller, catalog))
    return LicenceStanding(version, declaration, texts, needed, given)


def refuse_unacknowledged(version: ModelVersion, caller: Caller, workspace: Workspace) -> None:
    """Refuse files of a version to a caller who has yet to acknowledge its licence.

    Raises:
        LicenceNotAcknowledged: the operator's policy demands it, and the caller has not.
    """
    if standing(version, caller, workspace.catalog, demanded(workspace.settings, workspace.asker.folder)).lacking:
        raise LicenceNotAcknowledged(
            f"The licence of {version.name} has to be acknowledged before files are given out.",
            _remedy(version.name),
            name=version.name,
        )


def acknowledge(
    name: str, number: str, person: str, caller: Caller, workspace: Workspace, *, text: str = ""
) -> Acknowledgement:
    """Store that a person has read the licence of a version, on the word of a caller; once, however often it is sent.

    A caller who may only read may send this, so that there is a limit: of what changes nothing any more, as the caller
    has acknowledged the licence, `MOST_EACH` are stored for a model.

    Args:
        name: the model's name.
        number: the version's number; empty for the default version, else the latest.
        person: the person's name.
        caller: who sends it; the acknowledgement counts for this caller alone.
        workspace: the workspace of that caller.
        text: sha256 of the licence's text that was read; empty for whatever the version has.

    Raises:
        NotInCatalog: there is no such version.
        StateConflict: the version has no licence file with that sha256, or there are too many of that caller.
    """
    version = exact(workspace.catalog, name, number)
    texts = licence_texts(version)
    if text and text.removeprefix("sha256:") not in texts.values():
        raise StateConflict(
            f"The licence that was read is not the one of {name} {version.version}.",
            f"Read its text again: GET /models/{name}/license has its files with their sha256.",
            name=name,
        )
    catalog = workspace.catalog
    stated, since = stated_licence(version.card, catalog.declarations.of(name)), _known_since(caller, catalog)

    def counts(one: Acknowledgement) -> bool:
        return is_given(stated, texts, (one,), caller.actor, since=since)

    def is_same(one: Acknowledgement) -> bool:
        return (one.version, one.person) == (version.version, person) and counts(one)

    most = MOST_EACH if any(map(counts, catalog.acknowledgements.of(name, actor=caller.actor))) else None
    return catalog.acknowledgements.add(name, version.version, stated.expression, texts, person, is_same, most)


def check(found: LicenceStanding, use: PlannedUse) -> UseJudgement:
    """Judge a use of a version; an acknowledgement that the caller still has to make is a condition too."""
    judgement = judge(found.stated, use)
    if not found.lacking or judgement.ruling == "refused":
        return judgement
    first = Because(f"{_LACKING} {_remedy(found.version.name)}")
    return replace(judgement, ruling="allowed_with_conditions", conditions=(*judgement.conditions, first))


def licence_texts(version: ModelVersion) -> dict[str, str]:
    """Return the sha256 of each file of a version that has the text of a licence, by path."""
    files = version.manifest.files
    return {entry.path: entry.digest.hex for entry in files if entry.digest and is_licence_file(entry.path)}


def _limit(stated: StatedLicence) -> str:
    """Return in words that a licence limits the use, and how; empty for one that does not, or that is not known."""
    if not stated.expression or unknown_names(stated) or not is_restricted(stated):
        return ""
    note = restrictions_of(stated).note
    return f"The licence {shown(stated.expression, 80)} limits the use{f': {note}' if note else ''}."


def demanded(settings: Settings, folder: Path) -> AcknowledgeFirst:
    """Return when the operator's policy demands acknowledgements: always where it cannot be read."""
    try:
        return _demanded(settings.policy, folder, policy_state(settings.policy, folder))
    except InvalidConfiguration as error:
        _log.warning("Every licence has to be acknowledged, as the policy cannot be read: %s", error)
        return "always"


@lru_cache(maxsize=8)
def _demanded(policy: str, folder: Path, _state: Hashable) -> AcknowledgeFirst:
    return load_policy(policy, folder).acknowledge


def _known_since(caller: Caller, catalog: Catalog) -> str:
    """Return since when a caller's name is that caller's: a revoked key's name may be given to another person."""
    key = catalog.keys.named(caller.name) if caller.kind == "key" else None
    return key.created_at.isoformat() if key is not None else ""


def _remedy(name: str) -> str:
    return f"POST /models/{name}/license/acknowledgements does it, with the name of the person who has read it."
