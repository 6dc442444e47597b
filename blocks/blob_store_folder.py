"""The folder that holds the blobs, where it is not below `WEIGHBRIDGE_HOME`: a larger or a shared disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.blocks.core import Block
from pydantic import Field


class BlobStoreFolder(Block):
    """The folder of the blobs, as a path on the workers.

    Example:
        >>> from blocks import BlobStoreFolder
        >>> settings = BlobStoreFolder.load("shared").get_settings()
    """

    _block_type_name = "Blob Store Folder"
    _block_type_slug = "blob-store-folder"
    _description = "The folder that holds the blobs."

    folder: str = Field(
        title="Folder",
        pattern="^/",
        description="Absolute path, on one file system: blobs are moved into place by rename.",
    )

    def get_settings(self) -> dict[str, Any]:
        """Return the `Settings` fields of this block."""
        return {"store": Path(self.folder)}
