"""Versions cross an air gap in a bundle: without a trusted key as bytes, with one as facts, judged here either way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SHIPPED
from tests.content.bundles.packing import (
    FILES,
    compressed,
    documents,
    index_of,
    part,
    parts,
    tape,
    version,
)
from tests.intake.sides import HOUSE, Side, clamd_address, far, office, sent, signed
from tests.registries.killing import Arm, around_commit, before_file_event, run_and_die, samples
from weighbridge.content.bundles.layout import INDEX
from weighbridge.domain.progress import Silent
from weighbridge.errors import (
    IntegrityError,
    NameTaken,
    StateConflict,
    StoreFull,
    UsageError,
)
from weighbridge.intake import chain
from weighbridge.intake.collecting import collect
from weighbridge.intake.unbundling import ImportRequest, import_bundle
from weighbridge.scanners.clamd.database import eicar
from weighbridge.store.checking import check_store
from weighbridge.store.local import LocalBlobStore

__all__ = ["clamd_address", "far", "office", "sent"]


class TestWithoutTrust:
    def test_it_is_scanned_and_judged_here(self, far: Side, office: Side, sent: Path) -> None:
        done = far.take(sent)
        assert [(one.version.version, one.version.status, one.how) for one in done.versions] == [
            ("1.0.0", "PASSED", "scanned"),
            ("1.0.1", "PASSED", "scanned"),
        ]
        assert (done.signer.key, done.signer.name) == (office.key, "")
        here, there = far.version("org/tiny"), office.version("org/tiny")
        assert here.manifest.digest == there.manifest.digest
        assert here.source == f"bundle:org/tiny@1.0.1?upstream={there.source}"
        assert here.default
        assert all(dict(report.engine).get("scanned_by") is None for report in here.reports)
        assert here.published
        assert "version.imported" in far.history("org/tiny")

    def test_no_other_word_is_believed(self, far: Side, sent: Path) -> None:
        done = far.take(sent)
        with far.open() as workspace:
            assert workspace.catalog.declarations.of("org/tiny") is None
            assert workspace.catalog.declarations.changelog("org/tiny", "1.0.1") == ""
            assert workspace.catalog.results() == []
        assert any("left out" in note for one in done.versions for note in one.notes)

    def test_what_passed_there_may_fail_here(self, tmp_path: Path, clamd_address: str, sent: Path) -> None:
        strict = Side(tmp_path / "far", clamd_address, HOUSE + "licence: {deny: [apache-2.0]}\n")
        done = strict.take(sent)
        assert {one.version.status for one in done.versions} == {"FAILED"}
        assert not done.versions[0].version.published

    def test_a_forged_pass_of_malware(self, far: Side, tmp_path: Path, store: LocalBlobStore) -> None:
        """The other side says of EICAR that it is clean."""
        files = SHIPPED | {"notes.txt": eicar()}
        path = tmp_path / "b"
        path.write_bytes(compressed(tape(parts(version(files=files), files=files))))
        (taken,) = far.take(path).versions
        assert (taken.version.status, taken.how) == ("FAILED", "scanned")
        assert "clamav.signature" in {reason.rule for reason in taken.version.decision.reasons}

    def test_the_name_of_another_source_is_not_continued(self, far: Side, sent: Path) -> None:
        far.ingest("org/tiny", SHIPPED | {"more.txt": b"x"}, version="0.9.0")
        with pytest.raises(NameTaken, match="--another-source"):
            far.take(sent)
        assert [one.version.version for one in far.take(sent, another_source=True).versions] == ["1.0.0", "1.0.1"]


class TestWithTrust:
    def test_facts_are_taken_over_and_judged_here(self, far: Side, office: Side, sent: Path) -> None:
        done = far.trusting(office=office.key).take(sent)
        assert [(one.version.status, one.how) for one in done.versions] == [("PASSED", "taken over")] * 2
        assert done.signer.name == "office"
        here, there = far.version("org/tiny"), office.version("org/tiny")
        assert here.source == there.source
        assert here.decision.policy == "house"
        assert [(reason.effect, reason.rule) for reason in here.decision.reasons] == [("warn", "scanners.elsewhere")]
        assert {dict(report.engine)["scanned_by"] for report in here.reports} == {"office"}
        (scanned_at,) = {dict(report.engine)["scanned_at"] for report in here.reports}
        moments = [datetime.fromisoformat(text) for text in (scanned_at, here.created_at)]
        assert moments == sorted(moments), "the facts are of before they came here"
        assert {report.version for report in here.reports} == {report.version for report in there.reports}
        assert here.published

    def test_results_and_declarations_come_in_the_name_of_the_key(self, far: Side, office: Side, sent: Path) -> None:
        far.trusting(office=office.key).take(sent)
        with far.open() as workspace:
            catalog = workspace.catalog
            declared = catalog.declarations.of("org/tiny")
            assert declared is not None
            assert (declared.by, declared.content["description"]) == ("bundle:office", "Small.")
            assert catalog.declarations.changelog("org/tiny", "1.0.1") == "Another README."
            (measured,) = catalog.results(samples=True)
            assert measured.software["measured_by"] == "office"
            imported = catalog.bundles.imported("org/tiny", "1.0.0")
        assert imported is not None
        assert (imported["trusted_as"], imported["policy_there"], imported["how"]) == ("office", "house", "taken over")
        assert "clamav" in imported["scanned_there_with"]

    def test_what_somebody_declared_here_stays(self, far: Side, office: Side, sent: Path) -> None:
        far.trusting(office=office.key).take(sent)
        with far.open() as workspace:
            workspace.catalog.declarations.change("org/tiny", {"description": "Ours."})
        done = far.take(sent)
        assert any("stays" in note for one in done.versions for note in one.notes)
        with far.open() as workspace:
            declared = workspace.catalog.declarations.of("org/tiny")
        assert declared is not None
        assert declared.content["description"] == "Ours."

    def test_the_policy_here_judges(self, tmp_path: Path, clamd_address: str, office: Side, sent: Path) -> None:
        for rule in ("licence: {deny: [apache-2.0]}", "deny_formats: [safetensors]"):
            side = Side(tmp_path / rule[:5], clamd_address, f"{HOUSE}{rule}\n").trusting(office=office.key)
            done = side.take(sent)
            assert {one.version.status for one in done.versions} == {"FAILED"}, rule
            assert not done.versions[0].version.published
            assert any("--scan" in note for note in done.versions[0].notes)

    def test_a_policy_may_want_its_own_scans(
        self, tmp_path: Path, clamd_address: str, office: Side, sent: Path
    ) -> None:
        policy = f"{HOUSE}rules: {{scanners.elsewhere: reject}}\n"
        side = Side(tmp_path / "none", clamd_address, policy).trusting(office=office.key)
        assert {one.version.status for one in side.take(sent).versions} == {"FAILED"}
        done = side.take(sent)  # What was judged here is not judged anew by what somebody else found.
        assert {(one.version.status, one.how) for one in done.versions} == {("PASSED", "scanned")}

    def test_a_licence_that_had_to_be_acknowledged_there(self, far: Side, tmp_path: Path, clamd_address: str) -> None:
        careful = Side(tmp_path / "careful", clamd_address, f"{HOUSE}licence: {{acknowledge: always}}\n")
        key = careful.key
        careful.ingest("m")
        careful.pack("m", to=tmp_path / "b")
        (one,) = far.trusting(careful=key).take(tmp_path / "b").versions
        words = "At careful, its licence Apache-2.0 has to be acknowledged before files are given out."
        assert one.notes == (words,)

    def test_scan_scans_here(self, far: Side, office: Side, sent: Path) -> None:
        done = far.trusting(office=office.key).take(sent, scan=True)
        assert {one.how for one in done.versions} == {"scanned"}
        assert far.version("org/tiny").source == office.version("org/tiny").source  # The key says where it is from.

    def test_what_alarmed_a_scanner_here_is_not_taken_over(
        self, far: Side, office: Side, tmp_path: Path, store: LocalBlobStore
    ) -> None:
        files = SHIPPED | {"notes.txt": eicar()}
        far.ingest("same-bytes", files)
        forged = version("org/forged", files=files)
        path = signed(tmp_path / "b", office, files, forged)
        (taken,) = far.trusting(office=office.key).take(path).versions
        assert (taken.how, taken.version.status) == ("scanned", "FAILED")

    def test_reports_taken_over_serve_no_scan_here(self, far: Side, office: Side, sent: Path) -> None:
        """The trust is in versions of a bundle: the same bytes from elsewhere are scanned here."""
        far.trusting(office=office.key).take(sent)
        ours = far.ingest("ours")
        assert all("scanned_by" not in dict(report.engine) for report in ours.reports)


class TestRefusals:
    """Whatever ends an import leaves no version, and says in a paragraph what to do."""

    def test_a_bundle_whose_last_blob_is_wrong(self, far: Side, tmp_path: Path) -> None:
        found = parts(version())
        head, content = found[-1] if found[-1][1] else found[-2]
        at = found.index((head, content))
        found[at] = head, content[:-1] + bytes([content[-1] ^ 1])
        (tmp_path / "b").write_bytes(compressed(tape(found)))
        with pytest.raises(IntegrityError, match="other bytes"):
            far.take(tmp_path / "b")
        assert far.history("org/name") == []

    def test_a_bundle_that_was_cut(self, far: Side, sent: Path, tmp_path: Path) -> None:
        (tmp_path / "b").write_bytes(sent.read_bytes()[:-20])
        with pytest.raises(IntegrityError, match="ends too early"):
            far.take(tmp_path / "b")
        assert far.history("org/tiny") == []
        assert far.take(sent).versions[0].version.status == "PASSED"

    def test_a_bundle_with_a_blob_that_no_version_needs(self, far: Side, tmp_path: Path) -> None:
        both = version(), version("org/more", files={"x": b"more"})
        contents = documents(both[0])
        index = replace(index_of(both, contents * 2), versions=(("org/name", "1.0.0"),))
        index = replace(index, documents=index.documents[:1])
        found = parts(*both, files=FILES | {"x": b"more"})
        made = [part(INDEX, index.content), found[1], *found[3:]]
        (tmp_path / "b").write_bytes(compressed(tape(made)))
        with pytest.raises(IntegrityError, match="contradicts itself: the files"):
            far.take(tmp_path / "b")
        assert far.is_blank()

    def test_an_index_that_names_another_model(self, far: Side, tmp_path: Path) -> None:
        index = replace(index_of([version()], documents(version())), versions=(("org/other", "1.0.0"),))
        found = [part(INDEX, index.content), *parts(version())[1:]]
        (tmp_path / "b").write_bytes(compressed(tape(found)))
        with pytest.raises(IntegrityError, match="its index names other versions"):
            far.take(tmp_path / "b")

    def test_more_bytes_than_there_is_room(self, far: Side, tmp_path: Path) -> None:
        """An index that claims 2**60 bytes is refused before anything is written."""
        good = version()
        files = tuple(replace(one, size=2**60) if one.path == "config.json" else one for one in good.manifest.files)
        lying = replace(good, manifest=replace(good.manifest, files=files), reports=())
        (tmp_path / "b").write_bytes(compressed(tape(parts(lying))))
        with pytest.raises(StoreFull, match="Nothing was imported"):
            far.take(tmp_path / "b")
        assert far.is_blank()

    @pytest.mark.parametrize("name", ["none.tar.zst", "."])
    def test_no_file(self, far: Side, tmp_path: Path, name: str) -> None:
        with pytest.raises(UsageError, match="cannot be opened"):
            far.take(tmp_path / name)


class TestNumbers:
    """As mlflow-export-import #183 and #21: versions keep their numbers, in their order, and are there once (#32)."""

    def test_a_second_import_changes_nothing(self, far: Side, sent: Path) -> None:
        far.take(sent)
        with far.open() as workspace:
            before = workspace.catalog.audit.head()
        assert [(one.version.version, one.how) for one in far.take(sent).versions] == [
            ("1.0.0", "unchanged"),
            ("1.0.1", "unchanged"),
        ]
        with far.open() as workspace:
            assert workspace.catalog.audit.head() == before

    def test_what_is_here_under_another_number_keeps_it(self, far: Side, sent: Path) -> None:
        far.ingest("org/tiny", version="7.0.0")
        with pytest.raises(StateConflict, match="cannot follow 7"):
            far.take(sent, another_source=True)
        done = far.take(sent, another_source=True, renumber=True)
        assert [(one.number, one.version.version, one.how) for one in done.versions] == [
            ("1.0.0", "7.0.0", "unchanged"),
            ("1.0.1", "7.0.1", "scanned"),
        ]
        assert "It is 1.0.1 in the bundle, and 7.0.1 here." in done.versions[1].notes

    def test_an_older_version_takes_no_default(self, far: Side, office: Side, sent: Path, tmp_path: Path) -> None:
        office.pack("org/tiny@1.0.1", to=tmp_path / "new")
        far.take(tmp_path / "new")
        with pytest.raises(StateConflict, match="cannot follow 1"):
            far.take(sent)
        assert far.version("org/tiny").version == "1.0.1"

    def test_what_was_removed_and_withdrawn_here(self, far: Side, office: Side, sent: Path) -> None:
        far.trusting(office=office.key).take(sent)
        with far.open() as workspace:
            workspace.catalog.withdraw("org/tiny", "1.0.0", "recalled here")
        done = far.take(sent)
        assert [(one.version.status, one.how) for one in done.versions] == [
            ("FAILED", "scanned"),
            ("PASSED", "unchanged"),
        ]


class _Collecting(chain.Direct):
    """A runner before each step of which another process collects what nothing needs."""

    side: Side

    def call(self, step: Callable[..., Any], *values: Any) -> Any:
        with self.side.open() as workspace:
            collect(workspace, ())
        return super().call(step, *values)


def test_no_collection_meanwhile_takes_a_blob(far: Side, office: Side, sent: Path) -> None:
    """As containerd#5690: layers were collected while they were imported."""
    far.ingest("earlier")  # A catalog without models deletes nothing.
    for options in ({}, {"scan": True}):
        side = far.trusting(office=office.key)
        with side.open() as workspace, _Collecting() as runner:
            runner.side = side
            done = import_bundle(ImportRequest(str(sent), another_source=True, **options), workspace, runner)
            assert {one.version.status for one in done.versions} == {"PASSED"}
            assert check_store(workspace.store, [one.version for one in done.versions], Silent(), 2).sound
            for one in done.versions:
                workspace.catalog.remove("org/tiny", one.version.version)


def _import(side: Side, path: Path) -> None:
    side.take(path)


@pytest.mark.parametrize(("arm", "chosen"), [(before_file_event, slice(1, None, 3)), (around_commit, slice(3, 4))])
def test_a_kill_leaves_what_the_same_import_completes(
    tmp_path: Path, clamd_address: str, office: Side, sent: Path, arm: Arm, chosen: slice
) -> None:
    def fresh(number: int) -> Side:
        return Side(tmp_path / str(number), clamd_address).trusting(office=office.key)

    moments = samples(run_and_die(arm, 0, partial(_import, path=sent), fresh(0)) or 0)
    for number in moments[chosen]:
        side = fresh(number)
        run_and_die(arm, number, partial(_import, path=sent), side)
        done = side.take(sent)
        assert [one.version.status for one in done.versions] == ["PASSED", "PASSED"], number
        with side.open() as workspace:
            versions = workspace.catalog.versions("org/tiny")
            assert check_store(workspace.store, versions, workspace.progress, 2).sound, number
            assert all(workspace.catalog.bundles.imported("org/tiny", one.version) for one in versions), number
        assert [one.version for one in versions] == ["1.0.1", "1.0.0"]
        assert all(one.published for one in versions), number
