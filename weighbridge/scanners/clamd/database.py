"""ClamAV's signature databases: where they are, what they are, and a fingerprint that changes when they do."""

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

#: Where the usual packages of Debian, FreeBSD and Homebrew keep the official databases.
FOLDERS = ("/var/lib/clamav", "/usr/local/var/lib/clamav", "/opt/homebrew/var/lib/clamav", "/usr/local/share/clamav")
_CONTAINERS = (".cvd", ".cld", ".cud")
#: The other files clamd loads (libclamav `cli_strbcasestr` list of database extensions).
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
    """The signatures a clamd scans with.

    Attributes:
        kind: `official` (ClamAV's own), `custom`, `test-only`, or `unknown` (a clamd elsewhere that does not say).
        fingerprint: another value means other signatures.
        version: of the newest official database, or empty.
        built: ISO date of it, or empty.
    """

    kind: Kind
    fingerprint: str
    version: str = ""
    built: str = ""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What a policy may judge, as sorted pairs."""
        known = {"database": self.kind, "database_date": self.built, "database_version": self.version}
        return tuple(sorted((name, value) for name, value in known.items() if value))


def files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a folder that clamd would load, sorted."""
    if not folder.is_dir():
        return ()
    found = (path for path in folder.iterdir() if path.suffix.lower() in (*_CONTAINERS, *_PLAIN) and path.is_file())
    return tuple(sorted(found))


def find(configured: Path | None) -> Path | None:
    """Return the configured folder, or the first usual one with signatures, or None.

    Raises:
        ScannerUnavailable: the configured folder holds none.
    """
    if configured is not None:
        if not files(configured):
            raise ScannerUnavailable(
                f"{configured} holds no ClamAV signatures.", "Run freshclam, or mend WEIGHBRIDGE_CLAMAV_DATABASE."
            )
        return configured
    return next((Path(folder) for folder in FOLDERS if files(Path(folder))), None)


def read(folder: Path, cache: Path | None = None) -> SignatureDatabase:
    """Describe the databases of a folder; the fingerprint is taken over each file's name and content.

    Args:
        folder: where they lie.
        cache: file that remembers the digests of files that did not change, so that 300 MB are not read in every run.

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
    """Describe the signatures of a clamd elsewhere by its VERSION: `ClamAV 1.4.6/27700/Thu Oct  1 12:00:00 2026`."""
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
    """Write signatures that know the EICAR test file, plain or inside something, and nothing else.

    The string is put together here, so that no file of this project is itself found by a scanner.
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
    """Whether it is one of ClamAV's own; its bytecode alone recognises next to nothing."""
    return path.suffix.lower() in _CONTAINERS and path.stem in ("main", "daily")


def _digests(paths: tuple[Path, ...], cache: Path | None) -> dict[Path, str]:
    """Return the sha256 of each file; one whose size and time are as remembered is not read."""
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
    # Without it the next run reads the signatures again, nothing worse.
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        whole_files.write(cache, json.dumps(digests))


def _header(path: Path) -> tuple[str, str]:
    """Return version and build date of a header, `ClamAV-VDB:<date>:<version>:<count>:<level>:<md5>:…:<by>:<epoch>`."""
    with open(path, "rb") as file:
        fields = file.read(_HEADER_SIZE).decode("latin-1").split(":")
    if len(fields) < 4 or fields[0] != "ClamAV-VDB":
        return "", ""
    try:
        built = datetime.fromtimestamp(int(fields[-1].strip()), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        built = ""
    return fields[2].strip(), built
