"""Opening the catalog alone, for commands that only read it or change it: nothing of an ingest is imported for them.

Not here: opening all that an ingest needs (intake.workspace).
"""

from __future__ import annotations

from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.asker import process_user


def open_catalog(settings: Settings) -> Catalog:
    """Open the catalog that the settings name for this process's user, with its folder where it is SQLite.

    Raises:
        CatalogError: it cannot be opened.
    """
    timeout_s = settings.catalog_timeout_s
    return Catalog.open(settings.database_url, utc_now, timeout_s=timeout_s, actor=process_user())
