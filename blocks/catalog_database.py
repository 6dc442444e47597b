"""The database of the catalog, where it is not an SQLite file below `WEIGHBRIDGE_HOME`."""

from __future__ import annotations

from typing import Any

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr


class CatalogDatabase(Block):
    """The database that holds versions, decisions and scan reports.

    Example:
        >>> from blocks import CatalogDatabase
        >>> settings = CatalogDatabase.load("production").get_settings()
    """

    model_config = ConfigDict(hide_input_in_errors=True)
    _block_type_name = "Catalog Database"
    _block_type_slug = "catalog-database"
    _description = "The database that holds versions, decisions and scan reports."

    url: SecretStr = Field(
        title="URL", description="SQLAlchemy URL, with its password: postgresql+psycopg://user:password@host/database."
    )
    timeout_s: float = Field(
        30.0, gt=0, title="Timeout in seconds", description="How long to wait for another process's lock."
    )

    def get_settings(self) -> dict[str, Any]:
        """Return the `Settings` fields of this block."""
        return {"catalog_url": self.url.get_secret_value(), "catalog_timeout_s": self.timeout_s}
