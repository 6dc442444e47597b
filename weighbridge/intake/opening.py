"""Opening the catalog alone, or that of the Hub, for commands that need no more: nothing of an ingest is imported.

Not here: opening all that an ingest needs (intake.workspace).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.asker import process_user

if TYPE_CHECKING:
    from weighbridge.catalog.hub_models import HubCatalog


def open_catalog(settings: Settings) -> Catalog:
    """Open the catalog that the settings name for this process's user, with its folder where it is SQLite.

    Raises:
        CatalogError: it cannot be opened.
    """
    timeout_s = settings.catalog_timeout_s
    return Catalog.open(settings.database_url, utc_now, timeout_s=timeout_s, actor=process_user())


def open_hub_catalog(settings: Settings) -> HubCatalog:
    """Open the local catalogue of the Hub, an empty one where there is none yet.

    Raises:
        CatalogError: it cannot be opened.
    """
    from weighbridge.catalog.hub_models import HubCatalog  # Most commands have no use for it.

    return HubCatalog.open(settings.database_url, timeout_s=settings.catalog_timeout_s)
