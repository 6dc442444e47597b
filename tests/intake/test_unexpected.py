"""Errors that nobody foresaw: each is the failure of one model, one registry or one source, and the others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.intake.night import Night, verdicts
from weighbridge.config.settings import Settings
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import RegistryUnavailable
from weighbridge.intake import publishing
from weighbridge.intake.auditing import audit
from weighbridge.intake.repairing import repair_store
from weighbridge.intake.workspace import Workspace, open_workspace
from weighbridge.registries.export import ExportRegistry
from weighbridge.sources.file import FileSource
from weighbridge.store.checking import check_store

#: What a bug of a test says, and what a person reads of it.
BUG, TOLD = "a bug of the test's own", "Something unexpected went wrong (ZeroDivisionError)."


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Two models, `m` and `other`, in the registry `export`."""
    night = Night(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("---\nlicense: mit\n---\nAnother one.\n")
    lines = (f"- {{name: {name}, source: {{file: {{path: {tmp_path}/{name}}}}}}}\n" for name in ("m", "other"))
    (tmp_path / "models.yaml").write_text("models:\n" + "".join(lines))
    assert verdicts(night.sync()) == {"m": "PASSED", "other": "PASSED"}
    return night


def both(workspace: Workspace) -> list[ModelVersion]:
    return [version for name in ("m", "other") for version in workspace.catalog.versions(name)]


def moved(night: Night) -> Settings:
    """Return settings with the same catalog and store, and another place of the registry."""
    with night.open() as workspace:
        before = workspace.settings
    places = {"catalog_url": before.database_url, "store": before.store_folder}
    return before.model_copy(update={"home": night.folder / "moved", **places})


def traceback_of(night: Night, where: str) -> str:
    """Return the kept tracebacks; the error names their file."""
    path = night.folder / "home" / "unexpected-error.txt"
    assert str(path) in where
    return path.read_text()


def broken(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, which: str, error: Exception) -> None:
    """Let a method raise an error where its object or its first argument is the one of that name, or ends with it."""
    plain = getattr(kind, method)

    def raising(self: Any, *given: Any, **options: Any) -> Any:
        names = (getattr(self, "address", ""), *(getattr(one, "name", "") for one in given[:1]))
        if any(str(name).endswith(which) for name in names):
            raise error
        return plain(self, *given, **options)

    monkeypatch.setattr(kind, method, raising)


def test_a_bug_with_one_version_mends_the_others(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    export = night.folder / "home" / "export"
    for name in ("m", "other"):
        (export / name / "1.0.0" / "README.md").unlink()
    broken(monkeypatch, ExportRegistry, "publish", "m", ZeroDivisionError(BUG))
    with night.open() as workspace:
        done, (failure,) = publishing.mend(both(workspace), workspace)
    assert done == ("other@1.0.0 in export",)
    assert failure.startswith(f"m@1.0.0 in export: {TOLD}")
    assert BUG in traceback_of(night, failure)
    assert (export / "other" / "1.0.0" / "README.md").exists()


def test_a_bug_with_one_version_compares_the_others(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    (night.folder / "home" / "export" / "other" / "1.0.0" / "README.md").unlink()
    broken(monkeypatch, ExportRegistry, "damaged", "m", ZeroDivisionError(BUG))
    with night.open() as workspace:
        one, other = audit(both(workspace), workspace)
    assert (one.model, other.model) == ("m@1.0.0", "other@1.0.0")
    assert one.what.startswith(f"It cannot be compared: {TOLD}")
    assert BUG in traceback_of(night, one.what)
    assert "README.md" in other.what


def test_a_bug_of_one_registry_compares_the_others(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_workspace(moved(night), folder=night.folder) as workspace:
        for version in both(workspace):
            publishing.reconcile(version, [workspace.registry_at("export")], workspace)
        (night.folder / "moved" / "export" / "other" / "1.0.0" / "README.md").unlink()
        broken(monkeypatch, ExportRegistry, "listing", "home/export", ZeroDivisionError(BUG))
        registry, other = audit(both(workspace), workspace)
    assert (registry.address, registry.model) == (str(night.folder / "home" / "export"), "")
    assert registry.what.startswith(f"It cannot be compared: {TOLD}")
    assert (other.address, other.model) == (str(night.folder / "moved" / "export"), "other@1.0.0")


@pytest.mark.parametrize(("which", "kept"), [("home/export", "home"), ("moved/export", "moved")])
def test_what_one_registry_keeps_is_withdrawn_from_the_others(
    night: Night, monkeypatch: pytest.MonkeyPatch, which: str, kept: str
) -> None:
    with open_workspace(moved(night), folder=night.folder) as workspace:
        publishing.reconcile(both(workspace)[0], [workspace.registry_at("export")], workspace)
        broken(monkeypatch, ExportRegistry, "withdraw", which, ZeroDivisionError(BUG))
        with pytest.raises(ZeroDivisionError):
            publishing.withdraw("m", "1.0.0", "It is bad.", workspace)
        there = [home for home in ("home", "moved") if (night.folder / home / "export" / "m" / "1.0.0").exists()]
        assert (
            there == [Path(place.address).parent.name for place in workspace.catalog.places.of("m", "1.0.0")] == [kept]
        )


def test_a_registry_that_goes_away_is_one_difference(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, ExportRegistry, "damaged", "", RegistryUnavailable("It is gone.", "Wait."))
    with night.open() as workspace:
        (difference,) = audit(both(workspace), workspace)
    assert (difference.model, difference.what) == ("", "It cannot be compared: It is gone. Wait.")


def test_a_bug_of_one_source_repairs_from_the_others(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with night.open() as workspace:
        versions = both(workspace)
        for version in versions:
            for entry in version.manifest.files:
                assert entry.digest is not None
                workspace.store.path(entry.digest).unlink()
        broken(monkeypatch, FileSource, "resolve", "m", ZeroDivisionError(BUG))
        found = check_store(workspace.store, versions, workspace.progress, 1)
        report = repair_store(found, versions, workspace, {})
    names = {entry.digest: version.name for version in versions for entry in version.manifest.files}
    lost = [repair for repair in report.repairs if repair.how == "lost"]
    assert {names[repair.digest] for repair in report.repairs if repair.how == "whole"} == {"other"}
    assert [names[repair.digest] for repair in lost] == ["m", "m"]
    assert all(TOLD in repair.note for repair in lost)
    assert traceback_of(night, lost[0].note).count("Traceback") == 1  # The source was asked once.
    assert not report.whole
