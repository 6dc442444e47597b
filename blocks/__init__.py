"""Prefect blocks: credentials and configuration that a flow names, so that no secret is a parameter.

Register them with `prefect block register -m blocks`. Not here: settings of the environment
(weighbridge.config.settings).
"""

from __future__ import annotations

from blocks.blob_store_folder import BlobStoreFolder
from blocks.catalog_database import CatalogDatabase
from blocks.clamav_daemon import ClamAVDaemon
from blocks.git_credentials import GitCredentials
from blocks.hub_credentials import HubCredentials
from blocks.index_credentials import IndexCredentials
from blocks.loading import load_block, load_settings
from blocks.mlflow_credentials import MLflowCredentials
from blocks.mlflow_server import MLflowServer
from blocks.registry_credentials import RegistryCredentials
from blocks.s3_credentials import S3Credentials
from blocks.web_credentials import WebCredentials

__all__ = [
    "BlobStoreFolder",
    "CatalogDatabase",
    "ClamAVDaemon",
    "GitCredentials",
    "HubCredentials",
    "IndexCredentials",
    "MLflowCredentials",
    "MLflowServer",
    "RegistryCredentials",
    "S3Credentials",
    "WebCredentials",
    "load_block",
    "load_settings",
]
