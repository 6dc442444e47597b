"""The first tables. Revision types are written out, so that this step stays what it was when `hub_tables` moves on."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

from weighbridge.errors import CatalogError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_C = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_LONG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_STAMP = sa.BigInteger
_SORTED = ("downloads", "likes", "trending_score", "created_at", "last_modified", "parameters", "memory_size")


def upgrade() -> None:
    _make_models()
    _make_figures()
    _make_passes()
    _make_others()
    if op.get_context().dialect.name == "sqlite":
        _index_words_in_sqlite()
    else:
        _index_words_in_postgresql()


def _number(kind: type[sa.Integer] | sa.types.TypeEngine[int] = sa.Integer) -> sa.Column[int]:
    return sa.Column("number", kind, nullable=False, autoincrement=False)


def _make_models() -> None:
    op.create_table(
        "hub_models",
        _number(),
        sa.Column("id", _C, nullable=False),
        sa.Column("object_id", sa.LargeBinary, nullable=False),
        sa.Column("sha", sa.LargeBinary, nullable=False),
        sa.Column("tags", _C, nullable=False),
        sa.Column("weights_size", sa.BigInteger),
        sa.Column("extra", _C),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hub_models")),
    )
    op.create_index("uq_hub_models_id", "hub_models", [sa.text("lower(id)")], unique=True)
    op.create_index("ix_hub_models_object_id", "hub_models", ["object_id"])


def _make_figures() -> None:
    op.create_table(
        "hub_figures",
        _number(),
        sa.Column("gated", sa.SmallInteger),
        sa.Column("disabled", sa.SmallInteger, nullable=False),
        *(sa.Column(name, _STAMP) for name in ("created_at", "last_modified")),
        *(sa.Column(name, sa.BigInteger) for name in ("downloads", "downloads_all_time", "downloads_noted", "likes")),
        sa.Column("trending_score", sa.Double),
        *(sa.Column(name, sa.Integer) for name in ("library", "pipeline_tag", "licence", "parameters_from")),
        *(sa.Column(name, sa.BigInteger) for name in ("parameters", "memory_size")),
        sa.Column("seen_at", _STAMP, nullable=False),
        sa.Column("vanished_at", _STAMP),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hub_figures")),
    )
    for name in _SORTED:
        op.create_index(f"ix_hub_figures_{name}", "hub_figures", [name, "number"])


def _make_passes() -> None:
    op.create_table(
        "hub_passes",
        _number(),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("selection", sa.Text, nullable=False),
        sa.Column("begun_at", _STAMP, nullable=False),
        *(sa.Column(name, _STAMP) for name in ("ended_at", "given_up_at")),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("last_created_at", _STAMP),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("pages", "models", "added", "changed", "vanished")),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("lease_until", _STAMP),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hub_passes")),
    )


def _make_others() -> None:
    op.create_table(
        "hub_strings",
        _number(),
        sa.Column("text", _C, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hub_strings")),
        sa.UniqueConstraint("text", name=op.f("uq_hub_strings_text")),
    )
    op.create_table(
        "hub_changes",
        _number(_LONG),
        sa.Column("id", _C, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        *(sa.Column(name, _C, nullable=False) for name in ("before", "after")),
        sa.Column("at", _STAMP, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hub_changes")),
    )
    op.create_index("ix_hub_changes_at", "hub_changes", ["at"])
    op.create_index("ix_hub_changes_id", "hub_changes", [sa.text("lower(id)"), "number"])
    op.create_table(
        "hub_access",
        sa.Column("id", _C, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("allowed", sa.SmallInteger, nullable=False),
        sa.Column("at", _STAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", "token_hash", name=op.f("pk_hub_access")),
    )
    totals = op.create_table(
        "hub_totals",
        _number(),
        sa.Column("identity", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("models", "vanished", "rows", "texts")),
        sa.Column("changes", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hub_totals")),
    )
    counts = dict.fromkeys(("models", "vanished", "rows", "texts", "changes"), 0)
    op.bulk_insert(totals, [{"number": 1, "identity": secrets.token_hex(16), **counts}])


def _index_words_in_sqlite() -> None:
    for name in ("hub_model_words", "hub_string_words"):
        op.execute(
            f"CREATE VIRTUAL TABLE {name} USING fts5"
            "(t, tokenize=\"ascii tokenchars '_'\", detail=none, content='', columnsize=0)"
        )


def _index_words_in_postgresql() -> None:
    _require_trigrams()
    # Room for each row's next version on its page: most changes of a night move no index then.
    op.execute("ALTER TABLE hub_figures SET (fillfactor = 70)")
    op.execute("CREATE INDEX ix_hub_models_words ON hub_models USING gin (lower(id) gin_trgm_ops)")
    op.execute("CREATE INDEX ix_hub_models_tags ON hub_models USING gin (string_to_array(tags, NULL))")
    op.execute("CREATE INDEX ix_hub_models_odd ON hub_models (number) WHERE id ~ '[^A-Za-z0-9._/-]'")
    described = "text !~ '^(base_model|dataset|arxiv|doi):'"
    op.execute(
        f"CREATE INDEX ix_hub_strings_words ON hub_strings USING gin (lower(text) gin_trgm_ops) WHERE {described}"
    )


def _require_trigrams() -> None:
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")):
        return
    name = connection.scalar(sa.text("SELECT current_database()"))
    remedy = (
        f"Ask the administrator of the server to run CREATE EXTENSION pg_trgm; in the database {name}, and run the "
        "same command again. Debian has the extension in the package postgresql, others in postgresql-contrib."
    )
    if not connection.scalar(sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")):
        raise CatalogError(
            "Searches of the Hub's models need PostgreSQL's extension pg_trgm, which is missing.", remedy
        )
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION pg_trgm"))
    except sa.exc.DBAPIError as error:
        raise CatalogError(
            "Searches of the Hub's models need PostgreSQL's extension pg_trgm, which this user may not create.", remedy
        ) from error
