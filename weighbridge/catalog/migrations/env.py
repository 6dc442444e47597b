"""What Alembic runs: over the connection it is given, or, for developers, over `alembic -x url=…`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from weighbridge.catalog.schema import metadata


def _run(connection: Connection) -> None:
    # SQLite has transactional DDL too once the driver leaves transactions alone (database._configure_sqlite).
    context.configure(
        connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True, compare_type=True
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    _run(connection)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as own_connection:
        _run(own_connection)
