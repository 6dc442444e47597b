"""Mirroring: which version a client of the Hugging Face Hub is served, or why it gets none.

Every request of the mirror asks `served` first, whatever it wants of a repository; what gives out bytes then asks
`refuse_bytes`, and `refuse_ended` now and then while it does. Not here: the protocol (web.mirror), what a revision
means (intake.mirrored_models), and opening files (intake.mirrored_files).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from weighbridge.catalog import Transit
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.decision import WITHDRAWN, Decision
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.mirror import MirrorMode
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import (
    BeingWeighed,
    FileNotInVersion,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceUnavailable,
    TooManyAtOnce,
    UnknownRevision,
    VersionRefused,
    VersionWithdrawn,
    WeighbridgeError,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.following import followed, revalidated
from weighbridge.intake.licensing import refuse_unacknowledged
from weighbridge.intake.mirror_ingests import being_weighed, revision_name, taken_in
from weighbridge.intake.mirrored_models import SOURCE_KINDS, MirroredModel, RepoKind
from weighbridge.intake.read_through import WARNING, described, transit_of
from weighbridge.intake.resources import Resources
from weighbridge.intake.upstream_branches import Branch
from weighbridge.intake.workspace import workspace_of

#: Bytes above which huggingface_hub refuses to fetch a file over HTTP.
_MOST_BY_HTTP = 50 * 1000**3
#: Reasons of one decision that a message names.
_MOST_REASONS = 3


@dataclass(frozen=True)
class Served:
    """A version as the mirror serves it.

    Attributes:
        version: the version, whole; it is PASSED, or of a transit, PENDING.
        commit: 40 hexadecimal digits by which this client knows it: the one that it asked for, if it asked for one.
        warnings: what its user should know, a sentence each.
        branch: what is known of the branch upstream that was asked for, where it follows one; None for no such branch.
        transit: what is handed on before its verdict; None for a version of the catalog.
    """

    version: ModelVersion
    commit: str
    warnings: tuple[str, ...]
    branch: Branch | None = None
    transit: Transit | None = None

    @property
    def is_lasting(self) -> bool:
        """Whether it stays so until the catalog changes: a branch upstream moves by itself, and a verdict comes."""
        return self.branch is None and self.transit is None

    def file(self, path: str) -> FileEntry:
        """Return a file by its path. Raises FileNotInVersion."""
        entry = self.version.manifest.by_path.get(path)
        if entry is None:
            raise FileNotInVersion(
                f"{self.version.name} {self.version.version} has no file {shown(path, 200)}.", commit=self.commit
            )
        return entry


@dataclass(frozen=True)
class Revisions:
    """The commits that the mirror serves of a model.

    Attributes:
        main: that of the default version; empty where there is none.
        numbers: those of every version that passed, by its number, the latest first.
    """

    main: str
    numbers: Mapping[str, str]


def served(
    kind: RepoKind,
    name: str,
    revision: str,
    caller: Caller,
    resources: Resources,
    *,
    describing: bool = False,
    in_transit: bool = False,
) -> Served:
    """Return the version that a revision of a model means, if the mirror serves it.

    1. The caller's key has to be for the model.
    2. A model that the catalog does not have is unknown, or being weighed where a job that takes it in has not ended.
    3. `main` means the default version, or without one the latest, which is refused in step 5.
    4. Another branch, tag, number or commit than those of its versions is unknown.
    5. A version that is not PASSED is withdrawn, where a person said so, or else refused.
    6. In the mode `gated`, what is unknown is taken in: intake.mirror_ingests. Where the file says `follow`, a branch
       that moved upstream is taken in anew, while the version that passed is served: intake.following. In the mode
       `read-through`, what is unknown is handed on before that: intake.read_through.

    Args:
        kind: what the client takes it for; a data set is no model.
        name: its name in the catalog, or in the mode `catalog` as clients of the Hub write that (`hub_name`).
        revision: branch, tag, number or commit; empty for `main`.
        caller: who asks.
        resources: those of the process.
        describing: whether it is only described and its files are listed, which the mirror's file may allow for a
            version that was refused.
        in_transit: whether it may be what has no verdict yet, in the mode `read-through`; otherwise that mode is as
            `gated`.

    Raises:
        NotPermitted: the caller's key is for other models.
        NotInCatalog: there is no such model, or it is of another kind.
        BeingWeighed: it is being taken in; `facts` have `retry_after_s`, and the message how far it is.
        UnknownRevision: it has no such branch, tag or commit.
        VersionWithdrawn: a person withdrew the version.
        VersionRefused: the gate did not let the version in; `facts` have `name` and `version`.
        NotAuthenticated, SourceUnavailable, TooManyAtOnce: as `taken_in`.
        Awaiting: its Hub is being asked; ask again when the flight has ended.
    """
    name = _name_here(name, caller, resources)
    _refuse_stranger(kind, name, caller, resources)
    shown_too = describing and resources.mirror.upstream(name).show_refused
    if in_transit and _mode(name, resources) == "read-through":
        return _through(kind, name, revision, caller, resources, shown_too=shown_too)
    branch = followed(kind, name, revision, resources)
    try:
        found = _kept(kind, name, revision, resources, refused=shown_too)
    except VersionWithdrawn:
        raise
    except NotInCatalog as missing:
        other = _other_revision(name, revision, resources)
        if not other:
            other = taken_in(kind, name, revision, caller, resources, missing)
            revision = revision if other == name else ""
        found = _kept(kind, other, revision, resources, refused=shown_too)
    resources.uses.add(found.version.name, found.version.version)
    return replace(found, branch=branch) if branch is not None else found


def _name_here(asked: str, caller: Caller, resources: Resources) -> str:
    """Return the name in the catalog of what a client asks for.

    Where an unknown model is taken in, each name is the Hub's own: none is taken for a similar one of the catalog. Nor
    is one for the owner of a Hub's token, who may read a repository of that name.
    """
    is_hubs = caller.kind == "hub" or _mode(asked, resources) != "catalog"
    return asked if is_hubs else resources.kept.name_of(asked)


def _other_revision(name: str, revision: str, resources: Resources) -> str:
    """Return the name of another revision of a model that has a commit; empty for none.

    A client that loads a branch asks for its commit, then for each file by that.
    """
    if not re.fullmatch("[0-9a-f]{40}", revision) or _mode(name, resources) == "catalog":
        return ""
    return resources.kept.other_revision(name, revision)


def _mode(name: str, resources: Resources) -> MirrorMode:
    return resources.mirror.upstream(name).mode_of(name)


def _through(
    kind: RepoKind, name: str, revision: str, caller: Caller, resources: Resources, *, shown_too: bool
) -> Served:
    """Return what `served` does in the mode `read-through`: what a branch is now, or what passed while that is not had.

    A newer commit that did not pass, could not be had, or is not for this caller leaves what passed before.
    """
    branch, model = revalidated(kind, name, revision, resources), resources.kept.model(revision_name(name, revision))
    known = {one.commit for one in model.versions} if model is not None else set()
    is_newer = branch is not None and branch.commit not in known
    try:
        found = _kept(kind, name, revision, resources, refused=shown_too)
    except VersionWithdrawn:
        raise
    except VersionRefused as refused:
        if not is_newer:
            raise
        found = _handed_on(kind, name, revision, caller, resources, refused, branch)
    except (NotInCatalog, BeingWeighed) as missing:
        found = _handed_on(kind, name, revision, caller, resources, missing, branch)
    else:
        if is_newer:
            with suppress(NotInCatalog, NotAuthenticated, NotPermitted, SourceUnavailable, TooManyAtOnce):
                found = _handed_on(kind, name, revision, caller, resources, _absent(kind, name), branch)
    if found.transit is None:
        resources.uses.add(found.version.name, found.version.version)
    return replace(found, branch=branch) if branch is not None else found


def _handed_on(
    kind: RepoKind,
    name: str,
    revision: str,
    caller: Caller,
    resources: Resources,
    missing: WeighbridgeError,
    branch: Branch | None,
) -> Served:
    """Return a revision as its Hub has it, before its verdict; one that has a verdict meanwhile, as the catalog has it.

    Another revision than `main` is a model of its own in the catalog, and so are its commits.
    """
    wanted, commit = revision_name(name, revision), branch.commit if branch is not None else ""
    model = resources.kept.model(wanted)
    if wanted != name and model is not None and (not commit or model.find(commit) is not None):
        return _kept(kind, wanted, "", resources, refused=False)
    transit = transit_of(kind, name, revision, caller, resources, missing, commit)
    model = resources.kept.model(transit.name)
    if model is not None and model.find(transit.commit) is not None:
        return _kept(kind, transit.name, transit.commit, resources, refused=False)
    return Served(described(transit, resources), transit.commit, (WARNING,), transit=transit)


def _kept(kind: RepoKind, name: str, revision: str, resources: Resources, *, refused: bool) -> Served:
    """Return what `served` does of what the catalog has, also a version that was refused with `refused`."""
    model = _model(kind, name, resources)
    found = model.find(revision)
    version = resources.kept.version(name, found[0].number) if found is not None else None
    if found is None or version is None:
        known = ", ".join(one.number for one in model.versions if one.passed)
        raise UnknownRevision(
            f"{name} has no revision {shown(revision, 80)} here.", f"It has main, {known}." if known else "", name=name
        )
    if version.status != "PASSED":
        refusal = _refusal(version)
        if not refused or isinstance(refusal, VersionWithdrawn):
            raise refusal
    return Served(version, found[1], _warnings(version, resources.mirror.upstream(name).xet_above))


def revisions(kind: RepoKind, name: str, caller: Caller, resources: Resources) -> Revisions:
    """Return the commits that the mirror serves of a model.

    Raises:
        WeighbridgeError: as `served` of `main` does, where there is none.
    """
    name = _name_here(name, caller, resources)
    _refuse_stranger(kind, name, caller, resources)
    if _mode(name, resources) == "read-through":
        main, kept = _through(kind, name, "", caller, resources, shown_too=False), resources.kept.model(name)
        return Revisions(main.commit, {one.number: one.commit for one in kept.versions if one.passed} if kept else {})
    try:
        model = _model(kind, name, resources)
    except NotInCatalog as missing:
        model = _model(kind, taken_in(kind, name, "", caller, resources, missing), resources)
    numbers = {one.number: one.commit for one in model.versions if one.passed}
    if not numbers:
        served(kind, name, "", caller, resources)
    return Revisions(numbers.get(model.default, ""), numbers)


def refuse_bytes(given: Served, caller: Caller, resources: Resources) -> None:
    """Refuse the bytes of a version to a caller who may only know of it.

    Raises:
        LicenceNotAcknowledged: the operator's policy demands that the caller acknowledges the licence first.
    """
    change = resources.kept.change
    if resources.clearances.holds(given.version, caller, change):
        return
    with workspace_of(resources, Asker(on_behalf=True, actor=caller.actor)) as workspace:
        refuse_unacknowledged(given.version, caller, workspace)
    resources.clearances.add(given.version, caller, change)


def refuse_ended(given: Served, resources: Resources, caller: Caller = ANONYMOUS) -> None:
    """Refuse to go on with a version whose bytes are being given out to a caller; cheap where nothing changed.

    A token of the issuer is not asked for again: those that are valid for minutes could load no large model.

    Raises:
        NotAuthenticated: the caller's key was revoked or has expired meanwhile.
        NotInCatalog: it was removed meanwhile.
        VersionWithdrawn, VersionRefused: it is not PASSED any more.
    """
    if caller.kind == "key":
        key = resources.catalog.keys.named(caller.name)
        if key is None or key.state(resources.clock()) != "valid":
            raise NotAuthenticated(f"The key {caller.name} is not valid any more.", name=caller.name)
    if given.transit is not None:
        _refuse_judged(given.transit, resources)
        return
    version = resources.kept.version(given.version.name, given.version.version)
    if version is None:
        raise NotInCatalog(f"{given.version.name} {given.version.version} was removed.")
    resources.uses.add(version.name, version.version, requests=0)
    if version.status != "PASSED":
        raise _refusal(version)


def _refuse_judged(transit: Transit, resources: Resources) -> None:
    """Refuse to go on with a transit that has a bad verdict meanwhile."""
    model = resources.kept.model(transit.name)
    found = model.find(transit.commit) if model is not None else None
    version = resources.kept.version(transit.name, found[0].number) if found is not None else None
    if version is not None and version.status != "PASSED":
        raise _refusal(version)


def _refuse_stranger(kind: RepoKind, name: str, caller: Caller, resources: Resources) -> None:
    """Refuse a caller for whom a model is not: by the key, or as a Hub's token is about a repository of that name."""
    if not caller.may("reader", name):
        raise NotPermitted(
            f"The {caller.credential} is not for the model {shown(name, 100)}, but for {', '.join(caller.models)}.",
            f"Use another {caller.credential}.",
            name=name,
        )
    if caller.kind == "hub" and resources.catalog.origins(name) - {(SOURCE_KINDS.get(kind, ""), name)}:
        raise _absent(kind, name)


def _model(kind: RepoKind, name: str, resources: Resources) -> MirroredModel:
    model = resources.kept.model(name)
    if model is not None and model.kind == kind:
        return model
    job = resources.catalog.jobs.newest_ingest(name) if model is None else None
    if job is not None:
        raise being_weighed(job, name)
    raise _absent(kind, name)


def _absent(kind: RepoKind, name: str) -> NotInCatalog:
    what = kind.removesuffix("s")
    return NotInCatalog(
        f"This registry has no {what} {shown(name, 100)}.", "Ask for it to be taken in, or look at its list.", name=name
    )


def _refusal(version: ModelVersion) -> VersionRefused | VersionWithdrawn:
    which = f"{version.name} {version.version}"
    facts = {"name": version.name, "version": version.version}
    withdrawn = next((one for one in version.decision.reasons if one.rule == WITHDRAWN), None)
    if withdrawn is not None:
        return VersionWithdrawn(
            f"{which} was withdrawn: {_sentence(withdrawn.message)}", "Do not use copies of it any more.", **facts
        )
    return VersionRefused(f"{which} is {_standing(version.decision)}", **facts)


def _standing(decision: Decision) -> str:
    if decision.verdict == "SKIPPED":
        return f"not given out: the policy {decision.policy} did not weigh it."
    rejecting = [one for one in decision.reasons if one.effect == "reject"]
    named = " ".join(
        _sentence(f"{one.path}: {one.message}" if one.path else one.message) for one in rejecting[:_MOST_REASONS]
    )
    more = f" There are {len(rejecting) - _MOST_REASONS} further reasons." if len(rejecting) > _MOST_REASONS else ""
    return f"quarantined by the policy {decision.policy}. {named}{more}".rstrip()


def _sentence(text: str) -> str:
    line = shown(text, 300)
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def _warnings(version: ModelVersion, xet_above: int | None) -> tuple[str, ...]:
    waived = [
        _sentence(f"{one.path}: {one.message}" if one.path else one.message)
        for one in version.decision.reasons
        if one.effect == "waive"
    ]
    large = [
        f"huggingface_hub fetches no file above 50 GB over HTTP: {_way(one, xet_above)} for {shown(one.path, 200)}."
        for one in version.manifest.files
        if (one.size or 0) > _MOST_BY_HTTP
    ]
    return (*waived[:_MOST_REASONS], *large[:_MOST_REASONS])


def _way(entry: FileEntry, xet_above: int | None) -> str:
    """Return how a file above 50 GB is fetched all the same."""
    return "install hf_xet" if xet_above is not None and (entry.size or 0) > xet_above else "use another client"
