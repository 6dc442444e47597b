"""Settings: where state lives and how Weighbridge runs, from `WEIGHBRIDGE_*` environment variables.

Read when asked, never at import. Credentials are not here: they are named by `auth` (credentials) and kept in
environment variables, files or blocks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How Weighbridge runs; each field is `WEIGHBRIDGE_<FIELD>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="WEIGHBRIDGE_", frozen=True, extra="ignore")

    home: Path = Field(Path("~/.weighbridge"), description="Folder of all state: blobs, catalog, embedded registry.")
    store: Path | None = Field(None, description="Folder of the blobs, on one file system; below home by default.")
    catalog_url: str = Field("", description="SQLAlchemy URL of the catalog; empty for SQLite below home.")
    catalog_timeout_s: float = Field(30.0, gt=0, description="Seconds to wait for another process's lock.")
    mlflow_tracking_uri: str = Field("", description="MLflow server; empty for the embedded registry below home.")
    clamd: str = Field("", description="unix:/path or tcp://host:port of a clamd; empty to start a private one.")
    clamd_limit: int = Field(
        25 * 1024**2,
        ge=1024,
        description="Bytes that this clamd surely takes whole: its MaxFileSize and StreamMaxLength.",
    )
    clamav_database: Path | None = Field(None, description="Folder of signatures for the private clamd.")
    policy: str = Field("", description="Preset or policy file; empty for ./policy.yaml, else the preset standard.")
    registries: tuple[str, ...] = Field(("mlflow",), description="Registries that what passed is published to.")
    huggingface_endpoint: str = Field("", description="Hub to ask; empty for HF_ENDPOINT, else huggingface.co.")
    pypi_index: str = Field("", description="Package index to ask; empty for PIP_INDEX_URL, else the public one.")
    connections: int = Field(4, ge=1, le=64, description="Files received side by side.")
    scan_slots: int = Field(0, ge=0, le=256, description="Blobs scanned side by side; 0 for one a processor core.")
    timeout_s: float = Field(60.0, gt=0, description="Seconds without a byte after which a connection is dead.")
    max_redirects: int = Field(5, ge=0, description="Redirects that one request may follow.")
    via: Literal["auto", "direct", "prefect"] = Field(
        "auto", description="How the command line runs flows: through Prefect, directly, or as PREFECT_API_URL says."
    )

    @property
    def folder(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().absolute()

    @property
    def store_folder(self) -> Path:
        """Where the blobs lie."""
        return self.store.expanduser().absolute() if self.store else self.folder / "store"

    @property
    def database_url(self) -> str:
        """The catalog's SQLAlchemy URL."""
        return self.catalog_url or f"sqlite:///{self.folder / 'catalog.db'}"

    @property
    def slots(self) -> int:
        """Blobs scanned side by side."""
        return self.scan_slots or os.cpu_count() or 1

    def endpoint(self, kind: str) -> str:
        """Return the configured base URL for a source kind, or empty for the source's default."""
        if kind.startswith("huggingface"):
            return self.huggingface_endpoint or os.environ.get("HF_ENDPOINT", "")
        return self.pypi_index or os.environ.get("PIP_INDEX_URL", "") if kind == "pypi" else ""
