"""Recalling: a version is judged again from stored facts, and taken back everywhere where it does not pass any more.

The catalog changes first: from then on the mirror refuses the version. Its registries follow; what one of them refuses
stays recorded in the catalog, and `finish` tries it again. Clients of the Hub go on using their copies after every
refusal except that there is no such revision, which they get for a version that was given out. Not here: what is
refused (intake.mirroring), and withdrawals by a person (intake.publishing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Literal

from weighbridge.catalog.publications import RegistryPlace
from weighbridge.catalog.recalls import Candidate, UnevenVersion
from weighbridge.config.models_file import read_models
from weighbridge.domain import gate
from weighbridge.domain.audit import EXPOSED, RECALLED, SERVED
from weighbridge.domain.decision import WITHDRAWN, Decision, VersionStatus
from weighbridge.domain.policy import Policy
from weighbridge.domain.recalls import counting
from weighbridge.domain.report import ScanReport
from weighbridge.domain.request import MODELS_FILE
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import ChangedMeanwhile, VersionRecalled, VersionRefused
from weighbridge.intake import publishing
from weighbridge.intake.lookup import not_there
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Workspace

#: How often a version is judged again that others change meanwhile.
_ATTEMPTS = 20
#: How long an upload is left to the process that began it, before another one finishes it.
_UPLOAD_PATIENCE = timedelta(hours=1)
#: The reason that registries store for a version that is not in the catalog any more.
_REMOVED = "It was removed from the catalog."
#: Why a new verdict is not carried out: the signatures are only too old, the bytes are gone, a person withdrew it.
Held = Literal["", "signatures", "purged", "withdrawn"]


@dataclass(frozen=True)
class Judged:
    """What judging a version again came to.

    Attributes:
        name: the model's name.
        version: its number.
        before: the status that it had.
        after: the status that it has.
        decision: under the policy of today; where `held` is not empty, not the one that counts.
        changed: whether the catalog has another decision than before: another verdict, reason, policy or report.
        held: why the decision does not count: `signatures` where nothing rejects but the age of the signatures, so that
            a rescan is due, `purged` where the bytes are gone that it would let in; `withdrawn` where a person withdrew
            it: the decision is stored, and the version stays FAILED.
        unfinished: what registries could not do yet, a sentence each; `finish` does it later.
    """

    name: str
    version: str
    before: VersionStatus
    after: VersionStatus
    decision: Decision
    changed: bool
    held: Held = ""
    unfinished: tuple[str, ...] = ()

    @property
    def flipped(self) -> bool:
        """Return whether the version is let in where it was not, or the other way round."""
        return (self.before == "PASSED") != (self.after == "PASSED")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        reasons = [vars(one) for one in self.decision.reasons]
        return {
            **{name: getattr(self, name) for name in ("name", "version", "before", "after", "changed", "held")},
            "flipped": self.flipped,
            "policy": self.decision.policy,
            "reasons": reasons,
            "unfinished": list(self.unfinished),
        }


class Policies:
    """The policy of each model: that of its entry in models.yaml, or the operator's.

    Args:
        workspace: the workspace to use.
        operators: is used as the operator's; the one of the settings without it.
    """

    def __init__(self, workspace: Workspace, operators: Policy | None = None) -> None:
        self._of_all = operators or workspace.operators_policy()
        models = workspace.asker.folder / MODELS_FILE
        entries = read_models(models) if models.exists() else ()
        self._own = {entry.key: workspace.policy_named(entry.policy) for entry in entries if entry.policy}

    @property
    def operators(self) -> Policy:
        """The policy of every model that has none of its own."""
        return self._of_all

    @property
    def digest(self) -> str:
        """sha256 of all of them: another one where any model may be judged under other rules."""
        digests = [self._of_all.digest, *(f"{name}={one.digest}" for name, one in sorted(self._own.items()))]
        return sha256("\n".join(digests).encode()).hexdigest()

    def of(self, name: str) -> Policy:
        """Return the policy of a model."""
        return self._own.get(name, self._of_all)


def judge_again(
    name: str,
    number: str,
    workspace: Workspace,
    reports: Sequence[ScanReport] | None = None,
    policies: Policies | None = None,
) -> Judged:
    """Judge a version by what the catalog has of its files, and bring every registry in line with the verdict.

    No blob is read, and no scanner is started. What a registry refuses is no error: `Judged.unfinished` names it, and
    `finish` does it later.

    Args:
        name: the model's name.
        number: the version's number.
        workspace: the workspace to use.
        reports: those that count, where the caller has made them; the version rests on them from then on.
        policies: those of the models, where many versions are judged.

    Raises:
        NotInCatalog: there is no such version.
        InvalidConfiguration: the policy or models.yaml cannot be read.
        ChangedMeanwhile: others keep changing the version.
    """
    known = policies or Policies(workspace)
    for _ in range(_ATTEMPTS):
        candidate = workspace.catalog.recalls.candidate(name, number)
        if candidate is None:
            raise not_there(name, number)
        judged = settle(candidate, known, workspace, reports)
        if judged is not None:
            return judged
    raise ChangedMeanwhile(f"{name}@{number} is being changed by others.", "Try again.", name=name, version=number)


def settle(
    candidate: Candidate, policies: Policies, workspace: Workspace, reports: Sequence[ScanReport] | None = None
) -> Judged | None:
    """Store what `weigh` returns of a version and carry it out; None where the version was changed meanwhile."""
    judged, facts = weigh(candidate, policies.of(candidate.version.name), workspace, reports)
    if not judged.changed:
        return judged
    settled = workspace.catalog.recalls.settle(candidate, judged.decision, facts)
    if settled is None:
        return None
    before, after = settled
    return replace(judged, before=before, after=after, unfinished=_carry_out(judged, before, after, workspace))


def weigh(
    candidate: Candidate, policy: Policy, workspace: Workspace, reports: Sequence[ScanReport] | None = None
) -> tuple[Judged, tuple[ScanReport, ...]]:
    """Return what a policy makes of a version today, and the reports that count; changes nothing."""
    version, now = candidate.version, workspace.clock()
    facts = tuple(reports) if reports is not None else counting(version.reports, candidate.stored)
    decision = gate.decide(version.manifest, facts, version.card, policy, now)
    held: Held = "withdrawn" if candidate.withdrawn else ""
    if version.status == "PASSED" and decision.verdict == "FAILED":
        lenient = replace(policy, max_database_age_days=None, delta=True, whole_every_days=None)
        if gate.decide(version.manifest, facts, version.card, lenient, now).verdict == "PASSED":
            held = "signatures"
    elif decision.verdict == "PASSED" and version.status != "PASSED" and _is_lost(version, workspace):
        held = "purged"
    stays = held in ("signatures", "purged")
    after = version.status if stays else "FAILED" if candidate.withdrawn else decision.verdict
    changed = not stays and decision != _stored(version, decision)
    return Judged(version.name, version.version, version.status, after, decision, changed, held), facts


def _stored(version: ModelVersion, now: Decision) -> Decision:
    """Return the decision that is stored of a version, without a person's withdrawal, which hides the verdict."""
    stored = version.decision
    reasons = tuple(reason for reason in stored.reasons if reason.rule != WITHDRAWN)
    return replace(stored, reasons=reasons, verdict=now.verdict) if reasons != stored.reasons else stored


def _is_lost(version: ModelVersion, workspace: Workspace) -> bool:
    blobs = (entry.digest for entry in version.manifest.files if entry.digest is not None)
    return version.purged or not all(workspace.store.has(digest) for digest in blobs)


def _carry_out(judged: Judged, before: VersionStatus, after: VersionStatus, workspace: Workspace) -> tuple[str, ...]:
    """Bring registries in line with a new status, and return what they could not do yet."""
    name, number = judged.name, judged.version
    if after == "PASSED":
        return _give_out_again(name, number, workspace) if before != "PASSED" else ()
    why = f"{judged.decision.policy}: {judged.decision.verdict}"
    return _attempted(partial(publishing.withdraw_everywhere, name, number, why, workspace), name, number, workspace)


def _give_out_again(name: str, number: str, workspace: Workspace) -> tuple[str, ...]:
    """Publish a version that passes again where it was withdrawn from, or where versions are published today."""
    catalog = workspace.catalog
    version = catalog.get(name, number)
    if version is None or version.status != "PASSED":
        return ()
    unfinished: list[str] = []
    for registry, address in _places(version, workspace):
        work = partial(_publish_at, version, registry, address, workspace)
        unfinished += _attempted(work, name, number, workspace)
    return tuple(unfinished)


def _publish_at(version: ModelVersion, registry: str, address: str, workspace: Workspace) -> None:
    publishing.reconcile(version, [workspace.registry_at(registry, address)], workspace)


def _places(version: ModelVersion, workspace: Workspace) -> Sequence[tuple[str, str]]:
    """Return where a version that passes again belongs, as registries and their addresses."""
    catalog, which = workspace.catalog, f"{version.name}@{version.version}"
    here = {(place.registry, place.address) for place in catalog.places.of(version.name, version.version)}
    last = catalog.audit.last(which, RECALLED)
    rows = catalog.audit.rows(after=last.number, object_=which, action="version.unpublished") if last else []
    gone = {(str((row.before or {})["registry"]), str((row.before or {}).get("address", ""))) for row in rows}
    return sorted(here | gone) or [(name, "") for name in workspace.settings.registries]


def _attempted(work: Callable[[], object], name: str, number: str, workspace: Workspace) -> tuple[str, ...]:
    """Do something with a registry; return why it could not be done, or nothing."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 (what one registry meets keeps no other one, nor the next version)
        return (str(foreseen(error, f"{name}@{number}", workspace.settings.folder)),)
    return ()


@dataclass(frozen=True)
class Finished:
    """What was finished of earlier verdicts.

    Attributes:
        done: `name@version` of the versions whose registries agree with the catalog now.
        unfinished: by `name@version`, what a registry still refuses.
    """

    done: tuple[str, ...]
    unfinished: dict[str, tuple[str, ...]]


def finish(workspace: Workspace) -> Finished:
    """Take back what registries could not take back at the time, and end publications that did not end.

    An upload is left to its own process for an hour.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    done, unfinished = list[str](), dict[str, tuple[str, ...]]()
    for one in workspace.catalog.recalls.pending():
        places = [place for place in one.places if _is_due(place, workspace)]
        if not places:
            continue
        which, work = f"{one.name}@{one.version}", partial(_finish_one, one, places, workspace)
        if why := _attempted(work, one.name, one.version, workspace):
            unfinished[which] = why
        else:
            done.append(which)
    return Finished(tuple(done), unfinished)


def _is_due(place: RegistryPlace, workspace: Workspace) -> bool:
    return place.begun_at is None or workspace.clock() - place.begun_at > _UPLOAD_PATIENCE


def _finish_one(pending: UnevenVersion, places: Sequence[RegistryPlace], workspace: Workspace) -> None:
    version = workspace.catalog.get(pending.name, pending.version)
    if version is not None and version.status == "PASSED":
        registries = [workspace.registry_at(place.registry, place.address) for place in places]
        publishing.reconcile(version, registries, workspace)
    elif version is not None:
        publishing.take_back(version, workspace)
    else:
        publishing.withdraw_everywhere(pending.name, pending.version, _REMOVED, workspace)


def recalled(refused: VersionRefused, resources: Resources) -> VersionRefused:
    """Return the refusal of a version as a recall where somebody has got files of it; otherwise as it is.

    Args:
        refused: the refusal.
        resources: those of the process.
    """
    name, audit = refused.facts["name"], resources.catalog.audit
    object_ = f"{name}@{refused.facts['version']}"
    was_given_out = any(audit.rows(action=action, object_=object_, limit=1) for action in (EXPOSED, SERVED)) or any(
        one.name == name
        for one in resources.catalog.transits.unweighed()  # Its recipients are not in the log yet.
    )
    return VersionRecalled(refused.problem, "Do not use copies of it.", **refused.facts) if was_given_out else refused
