"""What answers say of a job.

Not here: what requests for work hold (web.api.order_documents).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from weighbridge.catalog import JobKind, JobState, StoredJob
from weighbridge.domain.access import Caller
from weighbridge.web.api.documents import Page, ReasonDocument

JobStatus = Literal[
    "PENDING", "FETCHING", "SCANNING", "PASSED", "FAILED", "SKIPPED", "ERROR", "CANCELLED", "PURGING", "PURGED"
]


class JobStep(BaseModel):
    """One step of a job."""

    name: str = Field(examples=["fetch"])
    state: Literal["waiting", "running", "done"]
    unit: str = Field(description="What is counted.", examples=["bytes"])
    done: int
    total: int | None = Field(description="Null where it is not known.")
    speed: int | None = Field(description="Of that unit a second; null where it is not running.")
    working_on: str


class JobError(BaseModel):
    """Why the work could not be done."""

    type: str = Field(examples=["urn:weighbridge:problem:model-not-found"])
    problem: str
    remedy: str
    retryable: bool = Field(description="Whether the same request may succeed later.")


class JobDocument(BaseModel):
    """Work that was asked for: an ingest of a model, another scan of a version, or the deletion of bytes."""

    id: str
    kind: JobKind
    name: str = Field(description="The model's name.")
    status: JobStatus = Field(description="Of the version meanwhile and at the end; ERROR where there is no verdict.")
    state: JobState
    source: str = Field(description="The URI that was asked for; empty for other work.")
    version: str | None = Field(description="The version it led to.")
    steps: list[JobStep]
    reasons: list[ReasonDocument]
    warnings: list[str]
    freed: int | None = Field(description="Bytes of disk space that a purge freed; null for other work.")
    error: JobError | None
    declared: dict[str, Any] = Field(description="What the asker said of the model.")
    asked_by: str
    cancel_wanted: bool
    run_url: str | None = Field(description="The page of the Prefect run that does it.")
    created_at: str = Field(description="ISO 8601, UTC.")
    updated_at: str = Field(description="ISO 8601, UTC.")
    ended_at: str | None = Field(description="ISO 8601, UTC.")


class Jobs(Page):
    """Jobs, the newest first."""

    items: list[JobDocument]


def job_document(job: StoredJob, caller: Caller) -> dict[str, Any]:
    """Return a `JobDocument`; only an admin sees what an error says of the operator's machines."""
    end = job.end
    return {
        "id": job.id,
        "kind": job.order.kind,
        "name": job.order.name,
        "status": _status(job),
        "state": job.state,
        "source": job.order.request.get("uri", ""),
        "version": (end.version or None) if end else None,
        "steps": job.progress.get("steps", []),
        "reasons": end.to_json()["reasons"] if end else [],
        "warnings": list(end.warnings) if end else [],
        "freed": end.freed if end and job.order.kind == "purge" else None,
        "error": end.failure(for_admin=caller.may("admin")) if end else None,
        "declared": dict(job.order.declared),
        "asked_by": job.order.asker,
        "cancel_wanted": job.cancel_wanted,
        "run_url": job.run_url or None,
        "created_at": job.created_at.isoformat(),
        "updated_at": job.updated_at.isoformat(),
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
    }


def _status(job: StoredJob) -> str:
    if job.end is not None:
        return {"done": job.end.status, "failed": "ERROR", "cancelled": "CANCELLED"}[job.end.state]
    begun = {"rescan": "SCANNING", "purge": "PURGING"}.get(job.order.kind, "FETCHING")
    return "PENDING" if job.state == "queued" else str(job.progress.get("status", begun))
