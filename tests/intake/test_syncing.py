"""Syncing held against what it must notice: policies, waivers, engines, registries, locks and what was rejected."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.intake.night import DENY, LOOSE, WAIVED, Night, verdicts
from tests.simulators.web import Page, WebServer
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError, IntegrityError, UnexpectedError
from weighbridge.intake import publishing, standing, steps
from weighbridge.intake.auditing import audit
from weighbridge.intake.job import Job
from weighbridge.intake.workspace import open_workspace
from weighbridge.registries.export import ExportRegistry
from weighbridge.registries.interface import Allow, always
from weighbridge.store.interface import BlobStore


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


@pytest.fixture
def known(night: Night) -> Night:
    assert verdicts(night.sync()) == {"m": "PASSED"}
    assert night.sync().unchanged == ("m",)
    return night


def test_a_quarantined_model_stays_so_every_night(night: Night) -> None:
    night.policy(DENY)
    assert night.sync().rejected == ("m",)
    for _ in range(2):
        done = night.sync()
        assert (done.unchanged, verdicts(done), done.rejected) == ((), {}, ("m",))
        assert json.loads(json.dumps(done.to_json()))["held"] == [{"name": "m", "version": "1.0.0", "status": "FAILED"}]
    night.policy(LOOSE)
    assert verdicts(night.sync()) == {"m": "PASSED"}
    assert night.given_out == ["1.0.0"]


def test_a_policy_that_changed_judges_again_and_withdraws(known: Night) -> None:
    known.policy(DENY)
    (due,) = known.plan().due
    assert "policy" in due.why[0]
    assert known.version.status == "PASSED"  # A plan changes nothing.
    done = known.sync()
    assert verdicts(done) == {"m": "FAILED"}
    assert done.ingested[0].unchanged
    assert (known.given_out, known.version.published) == ([], ())


def test_a_policy_of_models_yaml_counts(known: Night) -> None:
    known.wanted(", policy: paranoid")
    assert verdicts(known.sync()) == {"m": "FAILED"}


def test_a_waiver_ends(night: Night) -> None:
    night.policy(WAIVED)
    assert verdicts(night.sync()) == {"m": "PASSED"}
    night.now = datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert night.sync().unchanged == ("m",)
    night.now = datetime(2026, 2, 1, tzinfo=UTC)
    assert verdicts(night.sync()) == {"m": "FAILED"}
    assert night.given_out == []


def test_only_an_engine_that_has_not_seen_the_files_scans(known: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.scanners.clamav.VERSION", "another")
    (due,) = known.plan().due
    assert due.why == ("scan: an engine, or its signatures, has not seen these files",)
    before = {report.id for report in known.version.reports}
    known.sync()
    assert {report.scanner for report in known.version.reports if report.id not in before} == {"clamav"}
    assert known.sync().unchanged == ("m",)


def test_no_blob_is_opened_to_judge_again(known: Night) -> None:
    (blobs := known.folder / "home" / "store" / "blobs").chmod(0o755)
    for blob in blobs.rglob("*/*/*"):
        blob.chmod(0o644)
        blob.write_bytes(b"other bytes")
    known.policy(LOOSE + "max_size: 1000000\n")
    assert verdicts(known.sync()) == {"m": "PASSED"}


def test_a_registry_that_lost_a_version_gets_it_again(known: Night) -> None:
    export = known.folder / "home" / "export"
    export.rename(known.folder / "lost")
    assert known.plan().due[0].why[0].startswith("publish to export")
    known.sync()
    assert known.given_out == ["1.0.0"]
    (export / "m" / "default").unlink()
    known.sync()
    assert os.readlink(export / "m" / "default") == "1.0.0"


def test_a_damaged_copy_in_a_registry_is_mended(known: Night) -> None:
    copy = known.folder / "home" / "export" / "m" / "1.0.0" / "config.json"
    right = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(right[:-1] + b"!")
    known.sync()
    assert copy.read_bytes() == right
    assert known.sync().unchanged == ("m",)


def test_a_damaged_blob_goes_nowhere(known: Night) -> None:
    entry = known.version.manifest.by_path["config.json"]
    assert entry.digest is not None
    with known.open() as workspace:
        blob = workspace.store.path(entry.digest)
        blob.chmod(0o644)
        blob.write_bytes(bytes(entry.size or 0))
        with pytest.raises(IntegrityError, match="damaged"):
            ExportRegistry(known.folder / "elsewhere").publish(known.version, workspace.store)
    assert not list((known.folder / "elsewhere").rglob("config.json"))
    (known.folder / "home" / "export").rename(known.folder / "lost")
    known.sync()
    assert json.loads((known.folder / "home/export/m/1.0.0/config.json").read_text()) == {"model_type": "llama"}


def test_a_version_keeps_its_number(known: Night) -> None:
    known.wanted(", version: 2.0.0")
    (failure,) = known.sync().failed
    assert isinstance(failure.error, CatalogError)
    assert "1.0.0" in str(failure.error)


def test_a_lock_is_held_against_what_is_here(known: Night) -> None:
    known.lock()
    assert known.sync(locked=True).unchanged == ("m",)
    known.put("config.json", '{"model_type": "llama", "changed": 1}')
    assert verdicts(known.sync()) == {"m": "PASSED"}
    assert known.version.version == "1.0.1"
    (failure,) = known.sync(locked=True).failed
    assert "models.lock" in str(failure.error)
    known.put("config.json", '{"model_type": "llama"}')
    known.sync(locked=True)
    assert known.version.version == "1.0.0"
    assert os.readlink(known.folder / "home" / "export" / "m" / "default") == "1.0.0"


def test_a_version_that_is_rejected_while_it_is_published_does_not_stay(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment at which somebody else may reject it: before, while and after its files are put in place."""
    monkeypatch.setattr("weighbridge.registries.folder_writer.WITHDRAWAL_PATIENCE_S", 0.1)
    plain = ExportRegistry.publish
    for moment in ("before", "while", "after"):

        def publish(
            self: ExportRegistry,
            version: ModelVersion,
            blobs: BlobStore,
            allow: Allow = always,
            heard: Heard = unheard,
            at: str = moment,
        ) -> Any:
            def reject() -> None:
                with night.open() as other:
                    found = other.catalog.get(version.name, version.version)
                    if found is not None and found.status == "PASSED":
                        other.catalog.withdraw(version.name, version.version, "New signatures hit.")
                        publishing.take_back(replace(found, status="FAILED"), other)

            def meanwhile() -> None:
                if at == "while":
                    reject()
                allow()

            if at == "before":
                reject()
            done = plain(self, version, blobs, meanwhile, heard)
            if at == "after":
                reject()
            return done

        monkeypatch.setattr(ExportRegistry, "publish", publish)
        assert verdicts(night.sync()) == {"m": "FAILED"}
        assert (night.given_out, night.version.published) == ([], ())
        with night.open() as workspace:
            assert workspace.catalog.places.of("m", "1.0.0") == []
            workspace.catalog.reinstate("m", "1.0.0")
    monkeypatch.undo()
    night.sync()
    assert night.given_out == ["1.0.0"]


def test_an_audit_names_what_does_not_agree(known: Night) -> None:
    with known.open() as workspace:
        assert audit([known.version], workspace) == ()
        export = known.folder / "home" / "export"
        (export / "m" / "9.9.9").mkdir()
        (export / "m" / "9.9.9" / "left.bin").write_bytes(b"of a dead upload")
        copy = export / "m" / "1.0.0" / "config.json"
        copy.unlink()
        copy.write_bytes(b"{}")
        found = {(one.model, one.what) for one in audit([known.version], workspace)}
        assert {model for model, _ in found} == {"m@9.9.9", "m@1.0.0"}
        assert any("config.json" in what for _, what in found)
        publishing.mend([known.version], workspace)
        assert {one.model for one in audit([known.version], workspace)} == {"m@9.9.9"}


def test_an_audit_names_what_a_new_registry_lacks(known: Night) -> None:
    """The registry moved: the old one still gives the version out, and the one that people are sent to does not."""
    with known.open() as workspace:
        before = workspace.settings
    moved = before.model_copy(
        update={"home": known.folder / "moved", "catalog_url": before.database_url, "store": before.store_folder}
    )
    with open_workspace(moved, folder=known.folder) as workspace:
        (found,) = audit([known.version], workspace)
        assert (found.address, found.model) == (str(known.folder / "moved" / "export"), "m@1.0.0")
        assert f"weighbridge ingest {known.version.source}" in found.what
        publishing.reconcile(known.version, [workspace.registry_at("export")], workspace)
        assert audit([known.version], workspace) == ()


@pytest.mark.parametrize("fault", ["hang_after", "trickle_after"])
def test_a_slow_server_delays_its_own_models_only(night: Night, fault: str) -> None:
    with WebServer() as site:
        for number in range(6):  # More than files are received at once.
            site.pages[f"/{number}.bin"] = Page(bytes(1000), **{fault: 10})
        slow = "".join(f"- {{name: s{n}, source: {{url: {{url: {site.url(f'/{n}.bin')}}}}}}}\n" for n in range(6))
        (night.folder / "models.yaml").write_text(
            f"models:\n{slow}- {{name: m, source: {{file: {{path: {night.folder}/m}}}}}}\n"
        )
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(night.sync)
            while not night.given_out:
                assert not running.done(), running.result()
                time.sleep(0.05)
            site.pages.clear()
            site.stopping.set()
            done = running.result()
    assert verdicts(done) == {"m": "PASSED"}
    assert [failure.name for failure in done.failed] == [f"s{number}" for number in range(6)]


@pytest.mark.parametrize("where", ["asked", "compared", "taken in"])
def test_an_unexpected_error_is_its_models_failure(known: Night, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The other models go on, the row of the ingest is settled, and the traceback is kept."""
    (other := known.folder / "other").mkdir()
    (other / "README.md").write_text("---\nlicense: mit\n---\n")
    both = "".join(
        f"- {{name: {name}, source: {{file: {{path: {known.folder}/{name}}}}}}}\n" for name in ("m", "other")
    )
    (known.folder / "models.yaml").write_text(f"models:\n{both}")
    place, function = {
        "asked": (steps, "resolve"),
        "compared": (standing, "due"),
        "taken in": (steps, "describe_files"),
    }[where]
    plain = getattr(place, function)

    def broken(of: Job | Manifest, *more: Any) -> Any:
        if (of.request.model if isinstance(of, Job) else of.ref.name) == "m":
            raise ZeroDivisionError("a bug at http://user:pa55word@host")
        return plain(of, *more)

    if where == "taken in":
        known.put("config.json", '{"model_type": "llama", "changed": 1}')
    monkeypatch.setattr(place, function, broken)
    done = known.sync()
    assert verdicts(done) == {"other": "PASSED"}
    (failure,) = done.failed
    assert (failure.name, type(failure.error)) == ("m", UnexpectedError)
    kept = (known.folder / "home" / "unexpected-error.txt").read_text()
    assert str(known.folder / "home" / "unexpected-error.txt") in str(failure.error)
    assert "ZeroDivisionError: a bug at http://host" in kept
    assert re.match(r"[-0-9]+ [:0-9]+Z m\nTraceback", kept)
    with known.open() as workspace:
        row, *before = workspace.catalog.ingests("m")
        assert (row.status, row.error) == (
            ("ERROR", "It was stopped by ZeroDivisionError.") if where == "taken in" else ("PASSED", "")
        )
        assert [one.status for one in before] == ["PASSED"] * (where == "taken in")
    monkeypatch.undo()
    done = known.sync()
    assert (done.failed, done.rejected) == ((), ())


def test_what_threads_use_is_imported_before_them(night: Night) -> None:
    """In a process of its own, as this one has everything by now."""
    nobody, here = "http://127.0.0.1:1", night.folder
    sources = [
        f"file: {{path: {here}/m}}",
        f"url: {{url: {nobody}/model.bin}}",
        "huggingface: {repo: org/name}",
        "s3: {bucket: bucket, prefix: model}",
        f"mlflow: {{trackingUri: '{nobody}', modelName: name, version: 1}}",
        "pypi: {package: name, version: '1'}",
        "ollama: {model: name}",
        f"git-lfs: {{url: '{nobody}/model.git', rev: main}}",
    ]
    lines = (f"- {{name: m{number}, source: {{{source}}}}}\n" for number, source in enumerate(sources))
    (here / "models.yaml").write_text("models:\n" + "".join(lines))
    program = f"""
import sys, threading
from pathlib import Path
class Recorder:
    def find_spec(self, name, path=None, target=None):
        thread = threading.current_thread()
        if thread is not threading.main_thread() and (thread.name != "prepare" or name.startswith(SQL)):
            late.add(name)
SQL = ("sqlalchemy", "alembic", "weighbridge")
late = set()
sys.meta_path.insert(0, Recorder())
from weighbridge.config.settings import Settings
from weighbridge.errors import UsageError
from weighbridge.intake import steps, syncing, workspace
from weighbridge.net.retrying import Retrying
def take_in(job):
    prepare = threading.Thread(target=steps.prepare, args=(job.workspace.registries(job.request),), name="prepare")
    prepare.start()
    prepare.join()
    job.workspace.engines
    raise UsageError("enough")
names = ("huggingface_endpoint", "pypi_index", "mlflow_source", "s3_endpoint", "ollama_registry")
settings = Settings(home=Path("{here}/home"), **dict.fromkeys(names, "{nobody}"))
with workspace.open_workspace(settings, folder=Path("{here}")) as opened:
    opened.retrying = Retrying(attempts=1)
    done = syncing.sync(syncing.SyncRequest("{here}/models.yaml"), opened, take_in)
print(len(done.failed), *sorted(late))
"""
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    failed, *late = asked.stdout.split()
    assert int(failed) == len(sources)
    ours = ("weighbridge", "sqlalchemy", "alembic", "huggingface_hub", "botocore", "pypi_simple", "requests", "urllib3")
    assert [name for name in late if name == "boto3" or name.partition(".")[0] in ours] == []
