"""Models in the terms of the Hugging Face Hub: each version with its commit, and what a revision means.

Not here: keeping them in memory (intake.kept_models), and what is served of them (intake.mirroring).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import record_of
from weighbridge.domain.source_kinds.bundle import BUNDLE
from weighbridge.domain.version import VersionSummary
from weighbridge.errors import WeighbridgeError

#: What a repository of the Hub may be.
RepoKind = Literal["models", "datasets", "spaces"]
#: The source kind of each kind of repository that is taken from a Hub.
SOURCE_KINDS: dict[RepoKind, str] = {"models": "huggingface", "datasets": "huggingface-dataset"}
COMMIT = re.compile("[0-9a-f]{40}")
_NOT_OF_HUB = re.compile(r"[^\w.-]")
#: The default version's name among revisions.
MAIN = "main"
#: What is between a model's name and another revision of it, which is a model of its own (docs/adr/0019).
REVISION_MARK = ":revision/"
#: How branches and tags may be written in full; a Hub knows them by what follows.
_QUALIFIED = ("refs/heads/", "refs/tags/")


@dataclass(frozen=True)
class MirroredVersion:
    """One version of a model, in the Hub's terms.

    Attributes:
        number: of the version.
        status: of `VersionStatus`.
        commit: 40 hexadecimal digits: upstream's commit where the source has one, else the beginning of the manifest's
            digest.
        content: the beginning of the manifest's digest, which is always a commit of this version, too.
    """

    number: str
    status: VersionStatus
    commit: str
    content: str

    @property
    def passed(self) -> bool:
        """Whether it may be given out."""
        return self.status == "PASSED"


@dataclass(frozen=True)
class MirroredModel:
    """A model, in the Hub's terms.

    Attributes:
        name: of the model.
        kind: what it is for the Hub.
        default: the number of the default version; empty where there is none.
        versions: the latest first.
    """

    name: str
    kind: RepoKind
    default: str
    versions: tuple[MirroredVersion, ...]

    def find(self, revision: str) -> tuple[MirroredVersion, str] | None:
        """Return the version that a revision means, and its commit, or None.

        1. `main`, or nothing, means the default version; where there is none, the latest one that did not pass, which
           says why: while a version that a person chose as the default is withdrawn, no other one takes its place.
        2. A number means that version, with or without a `v` before it.
        3. Of commits, the one that versions are shown with counts first; then the beginning of a manifest's digest.
        """
        revision = unqualified(revision)
        if revision in ("", MAIN):
            of_main = (one for one in self.versions if one.number == self.default or not (self.default or one.passed))
            return next(((one, one.commit) for one in of_main), None)
        for one in self.versions:
            if revision in (one.number, f"v{one.number}", one.commit):
                return one, one.commit
        return next(((one, revision) for one in self.versions if revision == one.content), None)


def mirrored(versions: Sequence[VersionSummary]) -> MirroredModel:
    """Return a model in the Hub's terms, of all of its versions, the latest first.

    Where several versions are of one commit, having other files of it, the oldest is shown with it: a commit that
    clients keep never means other files later.
    """
    taken: set[str] = set()
    found = []
    for one in reversed(versions):
        content = one.manifest.digest.hex[:40]
        upstream = _upstream(one.source)
        commit = upstream if upstream and upstream not in taken else content
        taken.add(commit)
        found.append(MirroredVersion(one.version, one.status, commit, content))
    default = next((one.version for one in versions if one.default), "")
    return MirroredModel(versions[0].name, kind_of(versions[0].source), default, tuple(reversed(found)))


def _upstream(source: str) -> str:
    """Return the commit that a pinned URI names; empty where it names none."""
    ref = _ref(source)
    return ref.revision if ref is not None and COMMIT.fullmatch(ref.revision) else ""


def unqualified(revision: str) -> str:
    """Return a branch or a tag without what says which of the two it is."""
    for prefix in _QUALIFIED:
        revision = revision.removeprefix(prefix)
    return revision


def hub_name(name: str) -> str:
    """Return the name by which clients of the Hub ask for a model: they refuse most signs, and a second slash.

    Each such sign becomes `-`: `team/model:7b` is `team/model-7b` for them. Another revision of a model has its name.
    """
    name = name.partition(REVISION_MARK)[0]
    namespace, slash, rest = name.partition("/")
    return _NOT_OF_HUB.sub("-", namespace) + slash + _NOT_OF_HUB.sub("-", rest)


def kind_of(source: str) -> RepoKind:
    """Return what the Hub calls a model that came from a pinned URI; in a bundle, what that says it came from."""
    ref = _ref(source)
    if ref is not None and (upstream := ref.option("upstream")) and ref.kind == BUNDLE.name:
        ref = _ref(upstream[0])
    return "datasets" if ref is not None and record_of(ref.kind).hub_folder == "datasets" else "models"


def _ref(source: str) -> ModelRef | None:
    try:
        return ModelRef.parse(source)
    except WeighbridgeError:  # The source was a plug-in's, which is not installed any more.
        return None
