"""The catalog: models, their versions, scans, results and history, in one SQL database."""

from weighbridge.catalog.branches import BranchKey, StoredBranch
from weighbridge.catalog.catalog import Catalog
from weighbridge.catalog.ingests import Ingest, IngestCause, IngestStatus
from weighbridge.catalog.jobs import JobEnd, JobKind, JobLimits, JobOrder, JobState, StoredJob
from weighbridge.catalog.listings import ModelSummary
from weighbridge.catalog.messages import Attempt, Delivery
from weighbridge.catalog.queries import ModelQuery
from weighbridge.catalog.subscriptions import Subscription
from weighbridge.catalog.transits import Transit, TransitEnd
from weighbridge.catalog.uses import UsedVersion, VersionUse

__all__ = [
    "Attempt",
    "BranchKey",
    "Catalog",
    "Delivery",
    "Ingest",
    "IngestCause",
    "IngestStatus",
    "JobEnd",
    "JobKind",
    "JobLimits",
    "JobOrder",
    "JobState",
    "ModelQuery",
    "ModelSummary",
    "StoredBranch",
    "StoredJob",
    "Subscription",
    "Transit",
    "TransitEnd",
    "UsedVersion",
    "VersionUse",
]
