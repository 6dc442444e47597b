"""The catalog: models, their versions, scans, results and history, in one SQL database."""

from weighbridge.catalog.catalog import Catalog
from weighbridge.catalog.ingests import Ingest, IngestStatus
from weighbridge.catalog.jobs import JobEnd, JobKind, JobOrder, JobState, StoredJob
from weighbridge.catalog.listings import ModelQuery, ModelSummary

__all__ = [
    "Catalog",
    "Ingest",
    "IngestStatus",
    "JobEnd",
    "JobKind",
    "JobOrder",
    "JobState",
    "ModelQuery",
    "ModelSummary",
    "StoredJob",
]
