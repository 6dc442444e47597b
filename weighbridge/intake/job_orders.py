"""Orders of jobs: checks what can be checked at once of what somebody asks for, and queues it.

What takes a request to a source, or reads a file, is the job's own work, and its end says what was wrong. Not here:
whether the asker may ask for it (domain.access), and the work (intake.job_run).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weighbridge.catalog import JobKind, JobLimits, JobOrder, StoredJob
from weighbridge.domain.access import Caller
from weighbridge.domain.names import checked_name
from weighbridge.domain.next_version import checked_number
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import InvalidReference, StateConflict
from weighbridge.intake.webhook_receivers import callback_of
from weighbridge.intake.withdrawing import withdraw
from weighbridge.intake.workspace import Workspace
from weighbridge.net.on_behalf import refuse_place

#: The field of a job's request that says that a request of the mirror asked for it.
FOR_MIRROR = "for_mirror"


@dataclass(frozen=True)
class OrderSlip:
    """What goes with an order besides the request.

    Attributes:
        caller: who asks.
        key: the caller's own key for this order, so that sending it twice asks once; empty for none.
        declared: what the caller says of the model; plain JSON.
        callback_url: where the end of the job is sent; empty for nowhere.
        for_mirror: whether a request of the mirror asks, so that what it takes in may be evicted again.
    """

    caller: Caller
    key: str = ""
    declared: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str = field(default="", repr=False)
    for_mirror: bool = False


def order_ingest(request: IngestRequest, slip: OrderSlip, workspace: Workspace, *, once: bool = False) -> StoredJob:
    """Queue an ingest.

    Args:
        request: the request.
        slip: what goes with it.
        workspace: that of the asker.
        once: whether a job that takes in the same, whoever asked for it, is returned while it has not ended.

    Raises:
        UsageError: the name, the reference or the number is not valid, or this asker may not name the policy or the
            place of a secret; or the callback may not go where it is to go; or the key belongs to another order.
        TooManyAtOnce: too many jobs wait.
    """
    name = checked_name(request.model)
    if request.ref.mistake:
        raise InvalidReference(f"{request.ref.mistake}.", "Correct the reference.", uri=request.ref.uri)
    if request.version:
        checked_number(request.version)
    workspace.policy(request)
    refuse_place(request.auth, workspace.settings.token_places)
    content = request.to_json() | ({FOR_MIRROR: True} if slip.for_mirror else {})
    return _queue("ingest", name, content, slip, workspace, once=once)


def order_rescan(version: ModelVersion, slip: OrderSlip, workspace: Workspace) -> StoredJob:
    """Queue another scan of a version.

    Raises:
        StateConflict: its bytes were removed.
        UsageError: the callback may not go where it is to go; or the key belongs to another order.
        TooManyAtOnce: too many jobs wait.
    """
    if version.purged:
        raise StateConflict(
            f"The bytes of {version.name} {version.version} were removed, so that they cannot be scanned.",
            "Take the model in again.",
            name=version.name,
        )
    request = {"name": version.name, "version": version.version}
    return _queue("rescan", version.name, request, slip, workspace)


def order_purge(name: str, number: str, reason: str, slip: OrderSlip, workspace: Workspace) -> StoredJob:
    """Withdraw one version of a model, or without a number all of them, and queue the deletion of their bytes.

    An order that is sent again with its key withdraws nothing: there may be versions now that it did not mean.

    Raises:
        NotInCatalog: there is no such model or version.
        RegistryError: a registry refused; nothing is queued, and the same call again goes on.
        KeyReused: the key belongs to another order.
        TooManyAtOnce: too many jobs wait; the versions are withdrawn, and the same call again goes on.
    """
    earlier = workspace.catalog.jobs.sent(slip.caller.actor, slip.key) if slip.key else None
    if earlier is not None:
        numbers = earlier.order.request.get("versions")
    else:
        withdraw(name, number, reason, workspace)
        numbers = [one.version for one in workspace.catalog.lists.versions(name) if number in ("", one.version)]
    request = {"name": name, "version": number, "versions": numbers}
    return _queue("purge", name, request, slip, workspace)


def _queue(
    kind: JobKind, name: str, request: Mapping[str, Any], slip: OrderSlip, workspace: Workspace, *, once: bool = False
) -> StoredJob:
    callback = callback_of(slip.callback_url, slip.caller, workspace.resources)
    limits = JobLimits(workspace.settings.max_waiting_jobs, workspace.settings.max_waiting_jobs_each)
    order = JobOrder(kind, name, request, slip.caller.actor, slip.key, slip.declared, callback)
    return workspace.catalog.jobs.add(order, limits, once=once)
