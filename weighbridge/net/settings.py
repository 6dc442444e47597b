"""Settings of requests: credentials, limits, and the addresses that are allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.pace import Pace
from weighbridge.net.retrying import Retrying


@dataclass(frozen=True)
class SourceSettings:
    """The settings of a source's requests.

    Attributes:
        auth: the credentials.
        endpoint: the service's base URL, or empty for the source's own default.
        timeout_s: seconds without a byte after which a connection counts as dead.
        max_redirects: the most redirects of one request.
        max_size: the most bytes of a whole model.
        max_files: the most files of a model.
        addresses: where requests may go.
        connections: the files that are received in parallel.
        file_roots: resolved folders of this machine that may be read; None for any.
        retrying: how often a request to an unreachable or busy source is repeated.
        lowest_speed: bytes a second, over `timeout_s`, below which a server counts as dead.
        max_transfer_s: the most seconds that one answer may take, at any speed.
        via: the header `Via` by which a Hub that is this installation's own mirror knows it; empty for none.
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
    lowest_speed: int = 1024
    max_transfer_s: float = 24 * 3600.0
    via: str = ""

    @property
    def pace(self) -> Pace:
        """The slowest pace that is accepted of a server."""
        return Pace(self.timeout_s, self.lowest_speed, lifetime_s=self.max_transfer_s)
