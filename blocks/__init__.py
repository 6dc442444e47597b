"""Prefect blocks: credentials and configuration that a flow names, so that no secret is a parameter.

Register them with `prefect block register -m blocks`. Not here: settings of the environment (weighbridge.settings).
"""

from __future__ import annotations

from blocks.blob_store_folder import BlobStoreFolder
from blocks.catalog_database import CatalogDatabase
from blocks.clamav_daemon import ClamAVDaemon
from blocks.hub_credentials import HubCredentials
from blocks.loading import load_block, load_settings
from blocks.mlflow_server import MLflowServer

__all__ = [
    "BlobStoreFolder",
    "CatalogDatabase",
    "ClamAVDaemon",
    "HubCredentials",
    "MLflowServer",
    "load_block",
    "load_settings",
]
