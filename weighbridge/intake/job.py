"""A job: one request with the workspace, the policy and the source that serve it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import BoundedSemaphore

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.policy import Policy
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import IntegrityError
from weighbridge.intake.workspace import Locks, Workspace
from weighbridge.sources.interface import Source


@dataclass(frozen=True)
class Job:
    """One request with everything that serves it.

    Attributes:
        request: the request.
        workspace: the workspace to use.
        source: where the model comes from, with credentials; never shown.
        policy: the policy that it is judged under.
        locked: the files that models.lock names, or None.
        slots: limits how many of its files are received at once; not shared, as another model's server may be slow.
    """

    request: IngestRequest
    workspace: Workspace
    source: Source
    policy: Policy
    locked: Manifest | None = None
    slots: BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", BoundedSemaphore(self.workspace.settings.connections))

    @classmethod
    def of(cls, request: IngestRequest, workspace: Workspace, locked: Manifest | None = None) -> Job:
        """Prepare a request.

        Args:
            request: the request.
            workspace: the workspace to use.
            locked: the files it must have; by default those of models.lock if the request is `locked`.

        Raises:
            InvalidConfiguration: a policy, credentials or a lock cannot be read, or this asker may not name them.
            IntegrityError: the lock does not hold the model, or holds it for another URI.
        """
        if locked is None and request.locked:
            locked = locked_manifest(request, workspace.locks(request.models))
        source = workspace.source(request.ref, request.auth)
        return cls(request, workspace, source, workspace.policy(request), locked)

    def __repr__(self) -> str:
        return f"Job({self.request.ref.uri!r})"


@dataclass(frozen=True)
class Received:
    """Files that are in the store.

    Attributes:
        files: computed: real size and sha256.
        dropped: members of an archive that do not belong to the model, each with the reason.
    """

    files: tuple[FileEntry, ...] = ()
    dropped: tuple[str, ...] = ()


def locked_manifest(request: IngestRequest, locks: Locks) -> Manifest:
    """Return the manifest that models.lock holds for a request.

    Raises:
        IntegrityError: the lock does not hold it, or holds it for another URI.
    """
    uri, manifest = locks.get(request.model, ("", None))
    if manifest is None:
        raise IntegrityError(
            f"models.lock does not hold {request.model}.", "Run `weighbridge lock` and commit the lock."
        )
    if uri != request.ref.uri:
        raise IntegrityError(
            f"models.lock holds {request.model} from {uri}, but {request.ref.uri} is wanted.",
            "Run `weighbridge lock` and commit the lock.",
            expected=uri,
            actual=request.ref.uri,
        )
    return manifest
