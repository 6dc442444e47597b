"""What Alembic runs for the tables of the Hub's catalogue, over the connection that it is given."""

from __future__ import annotations

from alembic import context

from weighbridge.catalog.hub_tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=SCHEMA.version_table,
    transactional_ddl=True,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
