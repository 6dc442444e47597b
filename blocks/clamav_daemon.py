"""A clamd that is already running, as a service of the machine or of the network."""

from __future__ import annotations

from typing import Any

from prefect.blocks.core import Block
from pydantic import Field


class ClamAVDaemon(Block):
    """A running clamd; without this block each run starts a private one.

    Example:
        >>> from blocks import ClamAVDaemon
        >>> settings = ClamAVDaemon.load("scanner-1").get_settings()
    """

    _block_type_name = "ClamAV Daemon"
    _block_type_slug = "clamav-daemon"
    _description = "A clamd that is already running."

    address: str = Field(
        title="Address",
        pattern=r"^(unix:/.+|tcp://.+:\d+)$",
        description="unix:/path or tcp://host:port; clamd has no password, so keep it on a network of its own.",
    )
    limit: int = Field(
        25 * 1024**2,
        ge=1024,
        title="Limit in bytes",
        description="The largest file that it scans whole: the smaller one of its MaxFileSize and StreamMaxLength.",
    )

    def get_settings(self) -> dict[str, Any]:
        """Return the `Settings` fields of this block."""
        return {"clamd": self.address, "clamd_limit": self.limit}
