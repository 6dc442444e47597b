"""The catalog's tables, for SQLite and PostgreSQL alike.

Not here: those of webhooks (catalog.webhook_tables), Hubs (catalog.upstream_tables) and transits
(catalog.transit_tables), how they are created (`migrations`), or read and written (manifests, versions, reports,
results, jobs).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from weighbridge.catalog.column_types import Moment, PlainText

#: The newest migration's id; a test holds that it is the head of `migrations/versions`.
HEAD = "0020"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

#: Row ids: 64 bits in PostgreSQL; SQLite's rowid needs the type to be called INTEGER.
_ID = BigInteger().with_variant(Integer, "sqlite")

manifests = Table(
    "manifests",
    metadata,
    Column("digest", Text, primary_key=True, comment="Manifest.digest; the files' identity, not the source's"),
    Column("size", BigInteger, nullable=False),
    Column("file_count", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("manifest_digest", ForeignKey("manifests.digest", ondelete="CASCADE"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("size", BigInteger),
    Column("digest", Text),
    Index(None, "digest"),
)

resolutions = Table(
    "resolutions",
    metadata,
    Column("fingerprint", Text, primary_key=True, comment="of a declared manifest"),
    Column("manifest_digest", ForeignKey("manifests.digest"), nullable=False),
    Column("ref", JSON, nullable=False),
    Column("archive", Text, nullable=False),
    Column("dropped", JSON, nullable=False, comment="paths of the declaration that are no files of the model"),
    Column("remembered_at", Moment, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True, comment="ScanReport.id: of key and content, so that history stays"),
    Column("digest", Text, nullable=False),
    Column("scanner", PlainText, nullable=False),
    Column("version", PlainText, nullable=False),
    Column("rules", PlainText, nullable=False),
    Column("subject", PlainText, nullable=False),
    Column("status", Text, nullable=False),
    Column("content", JSON, nullable=False, comment="ScanReport.to_json()"),
    Column("sequence", BigInteger, nullable=False, comment="order of arrival: of one key, the greatest counts"),
    Column("recorded_at", Moment, nullable=False),
    Index(None, "digest", "sequence"),
    Index(None, "sequence"),
)

models = Table(
    "models",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", PlainText, nullable=False, unique=True),
    Column("fixed_version_id", _ID, comment="the default version when a user chose one; no key: it would be a circle"),
    Column("created_at", Moment, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("version", PlainText, nullable=False),
    Column("manifest_digest", ForeignKey("manifests.digest"), nullable=False),
    Column("status", Text, nullable=False, comment="of VersionStatus"),
    Column("source", PlainText, nullable=False, comment="the pinned URI"),
    Column("ref", JSON, nullable=False),
    Column("archive", Text, nullable=False),
    Column("card", JSON, nullable=False),
    Column("decision", JSON, nullable=False),
    Column("withdrawn", PlainText, comment="why a person withdrew it; stays until reinstated"),
    Column("withdrawn_role", Text, comment="takes the withdrawal back; NULL for an admin"),
    Column("removed_at", Moment, comment="when a person removed it; the row keeps number and files together"),
    Column("purged_at", Moment, comment="since when nothing needs its bytes, though its verdict stays"),
    Column("gated", Boolean, comment="whether the source gives it only to approved accounts; NULL where not known"),
    Column("repository", PlainText, comment="of a Hub, case folded: org/name; NULL for other sources", index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("model_id", "version"),
    UniqueConstraint("model_id", "manifest_digest"),
    Index(None, "model_id", "id"),
)

listings = Table(
    "listings",
    metadata,
    Column("model_id", ForeignKey("models.id"), primary_key=True, autoincrement=False),
    Column("name", PlainText, nullable=False, unique=True),
    Column("version_id", ForeignKey("versions.id"), nullable=False, comment="the default version, or the latest"),
    Column("is_default", Boolean, nullable=False),
    Column("versions", Integer, nullable=False, comment="how many there are"),
    Column("status", Text, nullable=False),
    Column("architecture", PlainText, nullable=False, comment="case folded, as what follows; empty for none"),
    Column("licence", PlainText, nullable=False),
    Column("task", PlainText, nullable=False),
    Column("parameter_count", BigInteger, nullable=False, comment="0 where it is not known"),
    Column("size", BigInteger, nullable=False),
    Column("file_count", Integer, nullable=False),
    Column("gated", Boolean),
    Column("searched", PlainText, nullable=False, comment="what a search looks at, case folded"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    *(
        Index(None, column, "name")
        for column in (
            *("architecture", "licence", "task", "status"),
            *("size", "parameter_count", "created_at", "updated_at"),
        )
    ),
)

listing_tags = Table(
    "listing_tags",
    metadata,
    Column("tag", PlainText, primary_key=True, comment="case folded"),
    Column("model_id", ForeignKey("models.id"), primary_key=True, index=True),
)

declarations = Table(
    "declarations",
    metadata,
    Column("model_id", ForeignKey("models.id"), primary_key=True, autoincrement=False),
    Column("content", JSON, nullable=False, comment="by field of domain.declarations.FIELDS"),
    Column("declared_by", PlainText, nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("said_at", JSON(none_as_null=True), comment="when, by field, taken back ones too; NULL for declared_at"),
)

changelogs = Table(
    "changelogs",
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("text", PlainText, nullable=False),
    Column("said_at", Moment, comment="NULL where that was not recorded"),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("version", PlainText, nullable=False),
    Column("licence", PlainText, nullable=False, comment="SPDX expression where it is one; empty for none"),
    Column("texts", JSON, nullable=False, comment="sha256 of the licence's files by path"),
    Column("person", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("acknowledged_at", Moment, nullable=False),
    Index(None, "model_id", "id"),
)

version_reports = Table(
    "version_reports",
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("report_id", ForeignKey("reports.id"), primary_key=True),
)

publications = Table(
    "publications",
    metadata,
    Column("version_id", _ID, primary_key=True),
    Column("registry", Text, primary_key=True),
    Column("address", Text, primary_key=True, server_default=text("''")),
    Column("location", PlainText, primary_key=True),
    Column("load", JSON, nullable=False),
    Column("published_at", Moment, nullable=False),
    ForeignKeyConstraint(["version_id"], ["versions.id"], ondelete="CASCADE"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("version_id", _ID, primary_key=True),
    Column("registry", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("begun_at", Moment, nullable=False),
    ForeignKeyConstraint(["version_id"], ["versions.id"], ondelete="CASCADE"),
)

ingests = Table(
    "ingests",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("uri", PlainText, nullable=False),
    Column("status", Text, nullable=False, comment="of IngestStatus"),
    Column("version", PlainText),
    Column("error", PlainText),
    Column("run_url", PlainText, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("cause", Text, comment="mirror, rescan; NULL where somebody asked for it"),
    Index(None, "name", "id"),
)

uses = Table(
    "uses",
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("used_at", Moment, nullable=False, comment="last request for it, to some minutes"),
    Column("requests", BigInteger, nullable=False, comment="how many there were"),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column(
        "hash", Text, nullable=False, unique=True, comment="domain.access.hash_of; the key itself is stored nowhere"
    ),
    Column("role", Text, nullable=False, comment="of Role"),
    Column("models", JSON, nullable=False, comment="patterns of models' names; empty for every model"),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("used_at", Moment, comment="last use, to a minute"),
    # A name is free again once its key is revoked.
    Index(
        None, "name", unique=True, sqlite_where=text("revoked_at IS NULL"), postgresql_where=text("revoked_at IS NULL")
    ),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("hash", Text, nullable=False, comment="domain.audit.AuditRow.hash_after of the row before"),
    Index(None, "object", "number"),
    Index(None, "action", "number"),
    Index(None, "actor", "number"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="1: there is one row"),
    Column("number", BigInteger, nullable=False, comment="of the newest row of audit"),
    Column("hash", Text, nullable=False, comment="of the newest row of audit"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", PlainText, primary_key=True, comment="random: an answer that names it is for its asker"),
    Column("kind", Text, nullable=False),
    Column("name", PlainText, nullable=False, comment="the model's"),
    Column("request", JSON, nullable=False, comment="holds no secret"),
    Column("declared", JSON, nullable=False, comment="what the asker says of the model"),
    Column("asker", PlainText, nullable=False),
    Column("key", PlainText, comment="the asker's own key of the order"),
    Column("callback_url", PlainText, comment="where its end is sent"),
    Column("callback_signer", Text, comment="with whose secret; domain.webhooks.SigningKey.signer"),
    Column("callback_key_id", _ID, comment="for the owner of which key; none for a caller of the issuer's"),
    Column("state", Text, nullable=False, comment="of JobState"),
    Column("owner", Text, comment="the process that works on it"),
    Column("leased_until", Moment, comment="when another process may take it over"),
    Column("beginnings", Integer, nullable=False, comment="how often a process has begun it"),
    Column("cancel_wanted", Boolean, nullable=False),
    Column("run_url", PlainText, nullable=False),
    Column("progress", JSON, nullable=False, comment="the steps"),
    Column("outcome", JSON(none_as_null=True), comment="JobEnd.to_json()"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
    UniqueConstraint("asker", "key"),
    Index(None, "state", "created_at"),
    Index(None, "created_at", "id"),
)

results = Table(
    "results",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("manifest_digest", Text, nullable=False, comment="of a version, or endpoint:… for a service"),
    Column("benchmark", Text, nullable=False),
    Column("comparable_key", Text, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("content", JSON, nullable=False, comment="BenchmarkResult.to_json() without its samples"),
    Column("samples", JSON, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Index(None, "manifest_digest", "benchmark"),
)
