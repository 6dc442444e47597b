"""How requests reach the world: credentials, time limits, and the addresses that are allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.retrying import Retrying


@dataclass(frozen=True)
class SourceSettings:
    """How sources reach the world.

    Attributes:
        auth: credentials.
        endpoint: the service's base URL, or empty for the source's own default.
        timeout_s: seconds without a byte after which a connection counts as dead.
        max_redirects: how many redirects one request may follow.
        max_size: bytes a whole model may have.
        max_files: files a model may have.
        addresses: where requests may go.
        connections: files that are received side by side.
        file_roots: resolved folders of this machine that may be read; None for any.
        retrying: how often a source that is out of reach or busy is asked again.
    """

    auth: Auth = field(default_factory=Auth)
    endpoint: str = ""
    timeout_s: float = 60.0
    max_redirects: int = 5
    max_size: int = 4 * 1024**4
    max_files: int = 100_000
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    connections: int = 4
    file_roots: tuple[Path, ...] | None = None
    retrying: Retrying = field(default_factory=Retrying)
