"""freshclam, run once into a folder of its own: it fetches ClamAV's databases and checks ClamAV's signature on them.

Its folder stays, so that the next run fetches only differences, and so that a server's demand to ask later is kept.
Not here: what becomes of the databases (intake.signatures).
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from weighbridge.domain.clock import utc_now
from weighbridge.errors import InvalidConfiguration, ScannerUnavailable
from weighbridge.scanners.clamd.daemon import PROGRAM_FOLDERS
from weighbridge.scanners.clamd.database import is_loaded
from weighbridge.system.processes import PIPE, STDOUT, Child, inherited, time_limit

#: The word for ClamAV's own servers among mirrors.
OFFICIAL = "official"
OFFICIAL_HOST = "database.clamav.net"
#: Bytes of all official databases, as people are told before they are fetched, and the space that they need at first.
OFFICIAL_SIZE, OFFICIAL_ROOM = 300_000_000, 1_200_000_000
#: Seconds that a run may take.
TIMEOUT_S = 3600.0
_DATABASES = ("main", "daily", "bytecode")
#: What a proxy and a private mirror need of this process's environment; no other secret reaches freshclam.
_INHERITED = (
    *("PATH", "LANG", "TMPDIR", "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy"),
    *("FRESHCLAM_CLIENT_CERT", "FRESHCLAM_CLIENT_KEY", "FRESHCLAM_CLIENT_KEY_PASSWD"),
)
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_AMOUNT = re.compile(r"([\d.]+)(B|KiB|MiB|GiB)/([\d.]+)(B|KiB|MiB|GiB)\s*$")
_ESCAPES = re.compile(r"\x1b\[\S*?[a-z]|\x1b7|\x1b8")
#: Where freshclam.dat has the time until which a server's demand to wait holds, after a head and a UUID.
_PAUSE = slice(61, 69)
_LIMITED = re.compile(
    r"error code (429|403)|\b(429|403)\b.*(rate|block|forbidden)|rate limit|cool-?down", re.IGNORECASE
)
#: How many of freshclam's last lines of trouble a message shows.
_SHOWN = 3
#: Receives what a file has and will have, in bytes.
Received = Callable[[int, int], None]


@dataclass(frozen=True)
class Origins:
    """Where databases come from.

    Attributes:
        official: whether ClamAV's own servers are asked.
        mirrors: addresses of private mirrors, which have what those have.
        files: addresses of single further databases.
    """

    official: bool
    mirrors: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Origins:
        """Return what `official`, the addresses of mirrors and those of databases mean. Raises InvalidConfiguration."""
        official, mirrors, files = False, [], []
        for text in texts:
            parts = urlsplit(text)
            if text == OFFICIAL:
                official = True
            elif parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", text):
                raise InvalidConfiguration(
                    f"“{text}” is neither `{OFFICIAL}` nor the address of a mirror of ClamAV's signatures.",
                    "WEIGHBRIDGE_CLAMAV_MIRRORS=https://mirror.example.com, or official,https://…/own.ndb for more.",
                )
            elif is_loaded(parts.path):
                files.append(text)
            else:
                mirrors.append(text.rstrip("/"))
        return cls(official and not mirrors, tuple(mirrors), tuple(files))

    def __str__(self) -> str:
        """Return them for people."""
        return ", ".join((*([OFFICIAL_HOST] if self.official else []), *self.mirrors, *self.files))


def executable() -> str:
    """Return freshclam's path. Raises ScannerUnavailable with the command that installs it."""
    folders = (os.environ.get("PATH", ""), "/usr/bin", *PROGRAM_FOLDERS, "/usr/local/bin", "/opt/homebrew/bin")
    found = shutil.which("freshclam", path=os.pathsep.join(folders))
    if not found:
        raise ScannerUnavailable(
            "freshclam, which fetches ClamAV's signatures, is not installed.",
            "Debian: sudo apt-get install clamav-freshclam; macOS: brew install clamav.",
        )
    return found


def fetch(folder: Path, origins: Origins, lock: int, received: Received) -> None:
    """Bring the databases in a folder up to date.

    Args:
        folder: freshclam's own; nothing else is in it.
        origins: where they come from.
        lock: a descriptor that freshclam keeps open, so that its lock holds until it ends, also without this process.
        received: is called with the bytes that a file has and will have.

    Raises:
        ScannerUnavailable: freshclam is not installed, the servers cannot be reached or demand a pause, what they sent
            is not what ClamAV signed, or the disk is full.
    """
    program = executable()
    try:
        _prepare(folder, origins)
        command = [program, f"--config-file={folder / 'freshclam.conf'}", "--stdout", "--show-progress"]
        with (
            Child(
                command, inherited(*_INHERITED), stdout=PIPE, stderr=STDOUT, folder=folder, pass_fds=(lock,)
            ) as child,
            time_limit(TIMEOUT_S, child) as late,
        ):
            assert child.stdout is not None
            lines = list(_heard(child.stdout, received))
            status = child.wait()
    except OSError as error:
        raise ScannerUnavailable(
            f"freshclam cannot be run in {folder}: {error.strerror}.", "Free some space."
        ) from error
    if late.is_set():
        lines.append(f"ERROR: it took longer than {TIMEOUT_S / 60:.0f} minutes")
    until = _paused_until(folder)
    if until or _LIMITED.search("\n".join(lines)):  # With exit status 0, as for what is up to date.
        raise _limited(origins, until)
    if status or late.is_set():
        raise _failure(lines, origins)


def _prepare(folder: Path, origins: Origins) -> None:
    configuration, path = _configuration(folder, origins), folder / "freshclam.conf"
    if path.exists() and path.read_text() != configuration:  # What came from elsewhere would stay for ever.
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("tmp.*"):  # A run that was killed left it.
        shutil.rmtree(left, ignore_errors=True)
    if origins.official and not any(folder.glob("main.*")) and shutil.disk_usage(folder).free < OFFICIAL_ROOM:
        raise ScannerUnavailable(
            f"ClamAV's official signatures need {OFFICIAL_ROOM / 1e9:.1f} GB for a moment, which {folder} has not.",
            "Free some space there, or set WEIGHBRIDGE_HOME to a folder on a larger disk.",
        )
    path.write_text(configuration)


def _configuration(folder: Path, origins: Origins) -> str:
    lines = [f"DatabaseDirectory {folder}", "Foreground yes", "ConnectTimeout 10", "ReceiveTimeout 1800"]
    lines += ["MaxAttempts 2", "TestDatabases yes", "ScriptedUpdates yes"]
    if os.geteuid() == 0:  # Otherwise freshclam would become a user that cannot write here.
        lines.append(f"DatabaseOwner {pwd.getpwuid(0).pw_name}")
    if origins.official:
        lines.append(f"DatabaseMirror {OFFICIAL_HOST}")
    elif origins.mirrors:
        lines += [f"PrivateMirror {mirror}" for mirror in origins.mirrors]
    else:  # freshclam demands one, and does not ask it.
        address = urlsplit(origins.files[0])
        lines += [f"PrivateMirror {address.scheme}://{address.netloc}"]
        lines += [f"ExcludeDatabase {name}" for name in _DATABASES]
    return "\n".join([*lines, *(f"DatabaseCustomURL {address}" for address in origins.files), ""])


def _heard(output: IO[bytes], received: Received) -> Iterator[str]:
    """Yield freshclam's lines, and pass on the amounts that it draws over each other."""
    text = ""
    while part := os.read(output.fileno(), 65_536):
        *whole, text = re.split(r"[\r\n]", text + _ESCAPES.sub("", part.decode(errors="replace")))
        for line in whole:
            if amounts := _AMOUNT.search(line):
                done, unit, total, total_unit = amounts.groups()
                received(int(float(done) * _UNITS[unit]), int(float(total) * _UNITS[total_unit]))
            elif line.strip():
                yield line.strip()
    if text.strip():
        yield text.strip()


def _paused_until(folder: Path) -> str:
    """Return until when freshclam asks nothing, which it says in a file only, or empty."""
    with suppress(OSError, ValueError, OverflowError):
        content = (folder / "freshclam.dat").read_bytes()
        until = datetime.fromtimestamp(int.from_bytes(content[_PAUSE], "little"), UTC)
        if utc_now() < until < utc_now() + timedelta(days=2):
            return f"{until:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def _limited(origins: Origins, until: str) -> ScannerUnavailable:
    return ScannerUnavailable(
        f"The server of ClamAV's signatures ({origins}) limits how often this network may ask (429 or 403)"
        + (f": freshclam is on cool-down until after {until}." if until else "."),
        "Ask once an hour at most, and only from one machine: let the others take them from a private mirror "
        "(cvdupdate; WEIGHBRIDGE_CLAMAV_MIRRORS) or from a folder (`weighbridge signatures update --from`).",
    )


def _failure(lines: Sequence[str], origins: Origins) -> ScannerUnavailable:
    whole = "\n".join(lines)
    if reasons := re.findall(r"Message: (.+)", whole):
        lines = [f"ERROR: {reasons[-1]}"]
    trouble = [line.partition(":")[2].strip() for line in lines if line.startswith(("ERROR:", "WARNING:"))]
    known = dict.fromkeys(
        line for line in trouble if line and not line.startswith(("Update failed", "DNS Update Info"))
    )
    shown = "; ".join(list(known)[-_SHOWN:]) or (lines[-1] if lines else "it said nothing")
    if "No space left" in whole:
        return ScannerUnavailable(f"The disk is full: {shown}.", "Free some space, or set WEIGHBRIDGE_HOME.")
    return ScannerUnavailable(
        f"freshclam brought no signatures from {origins}: {shown.rstrip('.')}.",
        "Check the network, a proxy (https_proxy) or WEIGHBRIDGE_CLAMAV_MIRRORS; without a network, "
        "`weighbridge signatures update --from FOLDER` takes them from a folder.",
    )
