"""ClamAV's signature databases: their folders, their kinds, and a fingerprint that changes with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from weighbridge.errors import ScannerUnavailable
from weighbridge.system import whole_files

#: The folders of the official databases in the packages of Debian, FreeBSD and Homebrew.
FOLDERS = ("/var/lib/clamav", "/usr/local/var/lib/clamav", "/opt/homebrew/var/lib/clamav", "/usr/local/share/clamav")
_CONTAINERS = (".cvd", ".cld", ".cud")
#: The suffixes of other files that clamd loads (libclamav's `cli_strbcasestr` list of database extensions).
_PLAIN = (
    ".db", ".mdb", ".hdb", ".ndb", ".fp", ".hsb", ".hdu", ".mdu", ".msb", ".msu", ".ldb", ".ldu", ".zmd", ".rmd",
    ".cdb", ".wdb", ".pdb", ".gdb", ".ftm", ".idb", ".cbc", ".sfp", ".ign", ".ign2", ".yar", ".yara", ".imp", ".crb",
    ".pwdb",
)  # fmt: skip
_HEADER_SIZE = 512
_TEST_ONLY = "test-only.ndb"
Kind = Literal["official", "custom", "test-only", "unknown"]


@dataclass(frozen=True)
class SignatureDatabase:
    """The signatures of a clamd.

    Attributes:
        kind: `official` (ClamAV's own), `custom`, `test-only`, or `unknown` (a foreign clamd that reports none).
        fingerprint: differs for other signatures.
        version: that of the newest official database, or empty.
        built: its ISO date, or empty.
    """

    kind: Kind
    fingerprint: str
    version: str = ""
    built: str = ""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the facts for a policy, as sorted pairs."""
        known = {"database": self.kind, "database_date": self.built, "database_version": self.version}
        return tuple(sorted((name, value) for name, value in known.items() if value))


def files(folder: Path) -> tuple[Path, ...]:
    """Return the sorted files of a folder that clamd would load."""
    if not folder.is_dir():
        return ()
    found = (path for path in folder.iterdir() if path.suffix.lower() in (*_CONTAINERS, *_PLAIN) and path.is_file())
    return tuple(sorted(found))


def find(configured: Path | None) -> Path | None:
    """Return the configured folder, or the first usual one with signatures, or None.

    Raises:
        ScannerUnavailable: the configured folder has none.
    """
    if configured is not None:
        if not files(configured):
            raise ScannerUnavailable(
                f"{configured} holds no ClamAV signatures.", "Run freshclam, or correct WEIGHBRIDGE_CLAMAV_DATABASE."
            )
        return configured
    return next((Path(folder) for folder in FOLDERS if files(Path(folder))), None)


def read(folder: Path, cache: Path | None = None) -> SignatureDatabase:
    """Return the description of a folder's databases; the fingerprint covers each file's name and content.

    Args:
        folder: their folder.
        cache: a file with the digests of unchanged files, so that a run need not read 300 MB.

    Raises:
        ScannerUnavailable: a file cannot be read.
    """
    digest = hashlib.sha256()
    newest = ("", "")
    found = files(folder)
    try:
        for path, content in _digests(found, cache).items():
            digest.update(f"{path.name}\0{content}\n".encode())
            if _official(path) and (path.stem == "daily" or not newest[0]):
                newest = _header(path)
    except OSError as error:
        raise ScannerUnavailable(
            f"ClamAV's signatures in {folder} cannot be read: {error.strerror}.", f"sudo chmod -R a+rX {folder}"
        ) from error
    kind: Kind = "custom"
    if any(_official(path) for path in found):
        kind = "official"
    elif [path.name for path in found] == [_TEST_ONLY]:
        kind = "test-only"
    return SignatureDatabase(kind, digest.hexdigest(), *newest)


def from_version(reply: str) -> SignatureDatabase:
    """Return a foreign clamd's signatures from its VERSION: `ClamAV 1.4.6/27700/Thu Oct  1 12:00:00 2026`."""
    parts = reply.split("/")
    fingerprint = hashlib.sha256(reply.encode()).hexdigest()
    if len(parts) < 3 or not parts[1].isdigit():
        return SignatureDatabase("unknown", fingerprint)
    try:
        built = datetime.strptime(parts[2].strip(), "%a %b %d %H:%M:%S %Y").date().isoformat()
    except ValueError:
        built = ""
    return SignatureDatabase("official", fingerprint, parts[1], built)


def write_test_only(folder: Path) -> None:
    """Write signatures that detect only the EICAR test file, plain or inside another file.

    The string is assembled here, so that no scanner detects a file of this project.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, content = folder / _TEST_ONLY, f"Weighbridge.Test.EICAR:0:*:{eicar().hex()}\n"
    if path.is_file() and path.read_text() == content:
        return
    whole_files.write(path, content)


def eicar() -> bytes:
    """Return the 68 bytes of the EICAR test file (https://www.eicar.org/download-anti-malware-testfile/)."""
    return b"".join((b"X5O!P%@AP[4", b"\\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!", b"$H+H*"))


def _official(path: Path) -> bool:
    """Return whether it is one of ClamAV's own; its bytecode alone detects almost nothing."""
    return path.suffix.lower() in _CONTAINERS and path.stem in ("main", "daily")


def _digests(paths: tuple[Path, ...], cache: Path | None) -> dict[Path, str]:
    """Return the sha256 of each file, from the cache where size and time are unchanged."""
    remembered: dict[str, str] = {}
    if cache is not None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            remembered = dict(json.loads(cache.read_text()))
    current, found = {}, {}
    for path in paths:
        state = path.stat()
        key = f"{path} {state.st_size} {state.st_mtime_ns}"
        content = remembered.get(key)
        if not isinstance(content, str):
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        current[key] = found[path] = content
    if cache is not None and current != remembered:
        _remember(cache, current)
    return found


def _remember(cache: Path, digests: dict[str, str]) -> None:
    # Without the cache, the next run only reads the signatures again.
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        whole_files.write(cache, json.dumps(digests))


def _header(path: Path) -> tuple[str, str]:
    """Return version and build date in a header, `ClamAV-VDB:<date>:<version>:<count>:<level>:<md5>:…:<by>:<epoch>`."""
    with open(path, "rb") as file:
        fields = file.read(_HEADER_SIZE).decode("latin-1").split(":")
    if len(fields) < 4 or fields[0] != "ClamAV-VDB":
        return "", ""
    try:
        built = datetime.fromtimestamp(int(fields[-1].strip()), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        built = ""
    return fields[2].strip(), built
