"""Catalogs as earlier versions of Weighbridge made them: what each migration added is taken back."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Connection, DateTime, Integer, MetaData, Table, Text, text

_EVENTS = Table(
    "events",
    MetaData(),
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
)
#: The tables and the columns, of `versions` where no table is named, that each migration added, the newest first.
_ADDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "0020": ((), ("repository",)),
    "0019": (("watermarks",), ()),
    "0018": (("transit_recipients", "transits"), ()),
    "0017": (("uses",), ("ingests.cause",)),
    "0016": (("upstream_branches", "identity"), ()),
    "0012": ((), ()),
    "0011": (
        (),
        (
            "jobs.callback_key_id",
            *("subscriptions.key_id", "subscriptions.failing_since"),
            *("subscriptions.disabled_at", "subscriptions.disabled_because"),
            *("deliveries.key_id", "deliveries.problem"),
        ),
    ),
    "0010": ((), ("withdrawn_role", "declarations.said_at", "changelogs.said_at")),
    "0009": (("deliveries", "subscriptions"), ("jobs.callback_url", "jobs.callback_signer")),
    "0008": (("acknowledgements", "changelogs", "declarations"), ()),
    "0007": (("audit_head", "audit", "access_keys"), ()),
    "0006": (("jobs",), ()),
    "0005": (("listing_tags", "listings"), ("gated",)),
    "0004": ((), ("removed_at", "purged_at")),
}
_INDEXES = {
    "0020": ("ix_versions_repository",),
    "0012": ("ix_versions_model_id_id", "ix_reports_sequence"),
    "0011": ("ix_deliveries_subscription_id_state",),
}


def take_back(connection: Connection, revision: str) -> None:
    """Make a catalog one of an earlier revision; models and versions stay, the audit log does not."""
    for later, (tables, columns) in _ADDED.items():
        if later <= revision:
            break
        for index in _INDEXES.get(later, ()):
            connection.execute(text(f"DROP INDEX {index}"))
        for table in tables:
            connection.execute(text(f"DROP TABLE {table}"))
        for column in columns:
            table, _, name = column.rpartition(".")
            connection.execute(text(f"ALTER TABLE {table or 'versions'} DROP COLUMN {name}"))
        if later == "0007":
            _EVENTS.create(connection)
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
