"""The clamd that scans: a private one, which is started when first needed, or a foreign one."""

from __future__ import annotations

from typing import Protocol

from weighbridge.scanners.clamd import database
from weighbridge.scanners.clamd.connection import Address, Connection
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.snapshots import Snapshot
from weighbridge.scanners.interface import Engine

#: The bytes that a foreign clamd is trusted to scan whole: Debian's and ClamAV's defaults are 25 MiB and more.
FOREIGN_LIMIT = 25 * 1024 * 1024


class Backend(Protocol):
    """The clamd that scans: a private or a foreign one."""

    limit: int

    def connection(self) -> Connection:
        """Return a connection. Raises ScannerUnavailable."""
        ...

    def recover(self) -> None:
        """Recover after a lost connection, if possible. Raises ScannerUnavailable."""
        ...

    def engine(self) -> Engine:
        """Return the engine. Raises ScannerUnavailable."""
        ...

    def snapshot(self) -> Snapshot | None:
        """Return the signatures' files, or None where they are not at hand. Raises ScannerUnavailable."""
        ...

    def take_over(self, previous: Backend, *, idle: bool) -> None:
        """Be ready to scan where the previous one is, with other signatures. Raises ScannerUnavailable."""
        ...


class PrivateBackend:
    """A private clamd, started for the first blob."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self.limit = daemon, daemon.limit

    def connection(self) -> Connection:
        """Return a connection to the daemon, which is started first unless it runs."""
        return self._daemon.connection()

    def recover(self) -> None:
        """Start the daemon again if it died."""
        self._daemon.recover()

    def engine(self) -> Engine:
        """Return version and signatures, without starting the daemon."""
        signatures = self._daemon.signatures().database
        return Engine(self._daemon.version, f"{signatures.fingerprint[:16]}/{self.limit}", signatures.facts)

    def snapshot(self) -> Snapshot:
        """Return the signatures' files."""
        return self._daemon.signatures()

    def take_over(self, previous: Backend, *, idle: bool) -> None:
        """Use the clamd of the previous one where it is idle, else start another; nothing where none runs."""
        if not isinstance(previous, PrivateBackend) or not previous._daemon.runs:
            return
        if idle and previous.limit == self.limit and previous._daemon.version == self._daemon.version:
            self._daemon.take_over(previous._daemon)
        else:
            self._daemon.connection()


class ForeignBackend:
    """A foreign clamd, whose limits are unknown."""

    def __init__(self, address: Address, limit: int = FOREIGN_LIMIT) -> None:
        self._connection, self.limit = Connection(address), limit

    def connection(self) -> Connection:
        """Return a connection."""
        return self._connection

    def recover(self) -> None:
        """Do nothing: its operator restarts it."""

    def snapshot(self) -> None:
        """Return None: its signatures are at its operator's."""

    def take_over(self, previous: Backend, *, idle: bool) -> None:
        """Do nothing: its operator gives it its signatures."""

    def engine(self) -> Engine:
        """Return the engine that it reports."""
        said = self._connection.version()
        signatures = database.from_version(said)
        version = said.split("/")[0].removeprefix("ClamAV ").strip()
        return Engine(version, f"{signatures.fingerprint[:16]}/{self.limit}", signatures.facts)
