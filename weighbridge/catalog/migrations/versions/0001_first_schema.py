"""The first schema: manifests, reports, versions, ingests and events.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_files()
    _create_reports()
    _create_versions()
    _create_journal()


def _id() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_files() -> None:
    op.create_table(
        "manifests",
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="Manifest.digest; the files' identity, not the source's"
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_manifests")),
    )
    op.create_table(
        "files",
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["manifest_digest"], ["manifests.digest"], name=op.f("fk_files_manifest_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("manifest_digest", "path", name=op.f("pk_files")),
    )
    op.create_index(op.f("ix_files_digest"), "files", ["digest"], unique=False)
    op.create_table(
        "resolutions",
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of a declared manifest"),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("ref", sa.JSON(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column(
            "dropped", sa.JSON(), nullable=False, comment="paths of the declaration that are no files of the model"
        ),
        sa.Column("remembered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["manifest_digest"], ["manifests.digest"], name=op.f("fk_resolutions_manifest_digest")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_resolutions")),
    )


def _create_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.Text(), nullable=False, comment="ScanReport.id: of key and content, so that history stays"),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scanner", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False, comment="ScanReport.to_json()"),
        sa.Column(
            "sequence", sa.BigInteger(), nullable=False, comment="order of arrival: of one key, the greatest counts"
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index(op.f("ix_reports_digest_sequence"), "reports", ["digest", "sequence"], unique=False)


def _create_versions() -> None:
    op.create_table(
        "models",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "fixed_version_id",
            _id(),
            nullable=True,
            comment="the default version when a user chose one; no key: it would be a circle",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("name", name=op.f("uq_models_name")),
    )
    op.create_table(
        "versions",
        sa.Column("id", _id(), nullable=False),
        sa.Column("model_id", _id(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="of VersionStatus"),
        sa.Column("source", sa.Text(), nullable=False, comment="the pinned URI"),
        sa.Column("ref", sa.JSON(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("withdrawn", sa.Text(), nullable=True, comment="why a person withdrew it; stays until reinstated"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["manifest_digest"], ["manifests.digest"], name=op.f("fk_versions_manifest_digest")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_versions_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("model_id", "manifest_digest", name=op.f("uq_versions_model_id_manifest_digest")),
        sa.UniqueConstraint("model_id", "version", name=op.f("uq_versions_model_id_version")),
    )
    op.create_table(
        "version_reports",
        sa.Column("version_id", _id(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_version_reports_report_id")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_version_reports_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "report_id", name=op.f("pk_version_reports")),
    )
    op.create_table(
        "publications",
        sa.Column("version_id", _id(), nullable=False),
        sa.Column("registry", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("load", sa.JSON(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_publications_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "registry", "location", name=op.f("pk_publications")),
    )


def _create_journal() -> None:
    op.create_table(
        "ingests",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="of IngestStatus"),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_url", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingests")),
    )
    op.create_index(op.f("ix_ingests_name_id"), "ingests", ["name", "id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", _id(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_kind_id"), "events", ["kind", "id"], unique=False)
    op.create_index(op.f("ix_events_subject_id"), "events", ["subject", "id"], unique=False)
