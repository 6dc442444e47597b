"""Updates of signatures: brought by the real freshclam, tried by the real clamd, and used only where they are good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.services.clamd import numbered
from tests.services.signature_mirror import FORGED, SignatureMirror, mirror
from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.signatures import SignatureUpdate
from weighbridge.errors import InvalidConfiguration, NotConfigured, ScannerUnavailable, SignaturesRefused
from weighbridge.intake import signatures
from weighbridge.intake.opening import open_catalog
from weighbridge.scanners.clamd import database, snapshots
from weighbridge.scanners.clamd.daemon import Daemon

__all__ = ["mirror"]
_WORD = b"a word that some day is a signature"
_UPDATE = """
import sys
from pathlib import Path
from weighbridge.config.settings import Settings
from weighbridge.intake import signatures
from weighbridge.intake.opening import open_catalog
settings = Settings()
with open_catalog(settings) as catalog:
    print(signatures.update(settings, catalog).after.fingerprint)
"""


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.scanners.clamd.database.FOLDERS", ())


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(Settings(home=tmp_path / "home")) as found:
        yield found


def settings_of(tmp_path: Path, *mirrors: str) -> Settings:
    return Settings(home=tmp_path / "home", clamav_mirrors=mirrors)


def in_use(settings: Settings) -> str:
    found = snapshots.installed(settings.folder)
    return found.database.fingerprint if found else ""


def rows(catalog: Catalog) -> list[tuple[str, str]]:
    found = catalog.audit.rows(action="signatures.updated")
    return [(dict(row.before or {}).get("fingerprint", ""), dict(row.after or {})["fingerprint"]) for row in found]


def test_freshclam_brings_what_a_mirror_has_and_a_clamd_scans_with_it(
    tmp_path: Path, catalog: Catalog, mirror: SignatureMirror
) -> None:
    settings = settings_of(tmp_path, f"{mirror.url}/own.ndb")
    assert signatures.status(settings).database.kind == "test-only"
    mirror.publish("own.ndb", _WORD)
    first = signatures.update(settings, catalog)
    assert (first.is_new, first.before, first.after.kind) == (True, None, "custom")
    assert not signatures.update(settings, catalog).is_new
    assert rows(catalog) == [("", in_use(settings))]
    daemon = Daemon(settings.folder, threads=1)
    try:
        assert daemon.connection().scan_stream([_WORD]).kind == "found"
        assert daemon.connection().scan_stream([database.eicar()]).kind == "found", (
            "space for unpacking is tested by it"
        )
    finally:
        daemon.stop()
    mirror.publish("own.ndb", _WORD, b"a second word")
    second = signatures.update(settings, catalog)
    assert second.before == first.after
    assert rows(catalog)[1:] == [(first.after.fingerprint, second.after.fingerprint)]
    for one in (first, second):
        assert snapshots.find(settings.folder, one.after.fingerprint)
    mirror.put("own.ndb", b"this is no signature\n")
    with pytest.raises(ScannerUnavailable, match=r"Database test FAILED.*--from FOLDER"):
        signatures.update(settings, catalog)
    assert in_use(settings) == second.after.fingerprint


def test_a_mirror_that_forges_a_database_brings_none(tmp_path: Path, catalog: Catalog, mirror: SignatureMirror) -> None:
    mirror.files |= dict.fromkeys(("daily.cvd", "daily.cld"), FORGED.ljust(512) + b"x" * 5000)
    with pytest.raises(ScannerUnavailable, match="Invalid or corrupted CVD/CLD database"):
        signatures.update(settings_of(tmp_path, mirror.url), catalog)
    assert (in_use(settings_of(tmp_path)), rows(catalog)) == ("", [])


@pytest.mark.parametrize("status", [429, 403])
def test_a_server_that_demands_a_pause_is_not_asked_again(
    tmp_path: Path, catalog: Catalog, mirror: SignatureMirror, status: int
) -> None:
    """freshclam ends with exit status 0 while it waits (Cisco-Talos/clamav#329: a cron job looked fine for weeks)."""
    settings = settings_of(tmp_path, mirror.url)
    mirror.status = status
    for _ in range(2):
        with pytest.raises(
            ScannerUnavailable, match=r"429 or 403\): freshclam is on cool-down until after 20.*cvdupdate"
        ):
            signatures.update(settings, catalog)
        asked = len(mirror.asked)
        mirror.asked.clear()
    assert asked == 0


def test_of_two_updates_at_once_both_end_well(tmp_path: Path, catalog: Catalog, mirror: SignatureMirror) -> None:
    settings = settings_of(tmp_path, f"{mirror.url}/own.ndb")
    mirror.publish("own.ndb", _WORD)
    mirror.pause_s = 0.3
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: signatures.update(settings, catalog), range(2)))
    assert sorted(one.is_new for one in done) == [False, True]
    assert len(rows(catalog)) == 1


@pytest.mark.parametrize("after_s", [0.8, 1.7, 2.3])
def test_a_killed_update_leaves_the_next_one_a_clean_table(
    tmp_path: Path, catalog: Catalog, mirror: SignatureMirror, after_s: float
) -> None:
    settings = settings_of(tmp_path, f"{mirror.url}/own.ndb")
    mirror.publish("own.ndb", _WORD)
    before = signatures.update(settings, catalog).after.fingerprint
    mirror.publish("own.ndb", _WORD, b"a second word")
    mirror.pause_s = 1.0
    home = {"WEIGHBRIDGE_HOME": str(settings.folder), "WEIGHBRIDGE_CLAMAV_MIRRORS": f"{mirror.url}/own.ndb"}
    with subprocess.Popen([sys.executable, "-c", _UPDATE], env=os.environ | home, stdout=subprocess.DEVNULL) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
    mirror.pause_s = 0.0
    after = signatures.update(settings, catalog).after.fingerprint
    assert after != before
    assert in_use(settings) == after
    assert rows(catalog) == [("", before), (before, after)]
    assert not list((settings.folder / "clamav" / "fetched").glob("tmp.*"))
    assert not list(snapshots.folder(settings.folder).glob(".copying-*"))


def test_what_is_worse_changes_nothing(tmp_path: Path, catalog: Catalog) -> None:
    settings = settings_of(tmp_path)
    good = signatures.update(settings, catalog, numbered(tmp_path / "good", 100, _WORD)).after

    def refused(folder: Path, match: str) -> None:
        with pytest.raises(SignaturesRefused, match=f"{match}.*Those in use stay: custom 100 of 2026-10-01"):
            signatures.update(settings, catalog, folder)
        assert in_use(settings) == good.fingerprint

    refused(numbered(tmp_path / "older", 99, _WORD), "It is older than the one in use: version 99 against 100")
    test_only = tmp_path / "test-only"
    database.write_test_only(test_only)
    refused(test_only, "only Weighbridge's test signatures")
    broken = numbered(tmp_path / "broken", 101, _WORD)
    (broken / "daily.cud").write_bytes((broken / "daily.cud").read_bytes()[:700])
    refused(broken, "clamd did not start")
    greedy = numbered(tmp_path / "greedy", 101)
    (greedy / "greedy.ndb").write_text("Greedy:0:0:??{30-}??\n")
    with pytest.raises(SignaturesRefused):
        signatures.update(settings, catalog, greedy)
    assert len(rows(catalog)) == 1
    newer = signatures.update(settings, catalog, numbered(tmp_path / "newer", 102, _WORD)).after
    assert in_use(settings) == newer.fingerprint


def test_a_folder_of_others_is_not_updated(tmp_path: Path, catalog: Catalog) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    home: dict[str, Any] = {"home": tmp_path / "home"}
    for settings, source, kind, match in (
        (Settings(**home, clamd="unix:/run/clamd"), None, NotConfigured, "whose operator"),
        (Settings(**home, clamav_database=empty), None, InvalidConfiguration, "used as it is"),
        (Settings(**home, clamav_mirrors=()), None, NotConfigured, "nobody is asked"),
        (Settings(**home), empty, InvalidConfiguration, "holds no ClamAV signatures"),
        (Settings(**home, clamav_mirrors=("ftp://x",)), None, InvalidConfiguration, "neither `official` nor"),
    ):
        with pytest.raises(kind, match=match):
            signatures.update(settings, catalog, source)


def test_a_clamd_elsewhere_is_asked_what_it_has(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "there", numbered(tmp_path / "signatures", 100), threads=1)
    try:
        address = daemon.connection().address
        found = signatures.status(
            Settings(home=tmp_path / "home", clamd=str(address)), lambda: datetime(2026, 10, 11, tzinfo=UTC)
        )
    finally:
        daemon.stop()
    assert (found.engine, found.database.version, found.database.built) == (daemon.version, "100", "2026-10-01")
    assert (found.age_days, found.is_old) == (10, True)


def test_a_machine_is_asked_once_a_day_and_only_where_somebody_answers(
    tmp_path: Path, mirror: SignatureMirror, catalog: Catalog
) -> None:
    nobody = settings_of(tmp_path / "other", "http://127.0.0.1:9/own.ndb")
    assert not signatures.are_missing(nobody)
    assert not signatures.are_missing(settings_of(tmp_path / "none"))
    settings = settings_of(tmp_path, f"{mirror.url}/own.ndb")
    assert signatures.are_missing(settings)
    assert not signatures.are_missing(settings)
    os.utime(settings.folder / "clamav" / "asked", (0, 0))
    assert signatures.are_missing(settings)
    mirror.publish("own.ndb", _WORD)
    assert isinstance(signatures.update(settings, catalog), SignatureUpdate)
    os.utime(settings.folder / "clamav" / "asked", (0, 0))
    assert not signatures.are_missing(settings)
