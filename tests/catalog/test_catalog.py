"""The catalog's methods, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC

import pytest
from sqlalchemy import text

from tests.catalog.values import CARD, REF, decision, digest, manifest, report
from weighbridge.catalog import Catalog, schema
from weighbridge.domain.access import Role
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Verdict
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.errors import CatalogError, CatalogUnavailable, InvalidName, NotPermitted


def settle(
    catalog: Catalog,
    content: str = "weights",
    number: str = "1.0.0",
    verdict: Verdict = "PASSED",
    name: str = "org/name",
) -> ModelVersion:
    reports = (report(content),)
    return catalog.settle_version(
        name, f"hf:org/name@{'a' * 40}", manifest(content), CARD, decision(verdict, reports), reports, lambda _: number
    )


def test_a_version_comes_back_as_it_went_in(catalog: Catalog) -> None:
    reports = (report(scanner="clamav"), report(scanner="pickle"))
    settled = catalog.settle_version(
        "org/name",
        "pypi:x==1",
        manifest(archive="wheel"),
        CARD,
        decision("PASSED", reports),
        reports,
        lambda _: "1.0.0",
    )
    assert settled == catalog.get("org/name") == catalog.get("org/name", "1.0.0") == catalog.versions("org/name")[0]
    assert settled.manifest == manifest(archive="wheel")
    assert settled.manifest.ref == REF
    assert settled.card == CARD
    assert settled.decision == decision("PASSED", reports)
    assert settled.reports == reports
    assert (settled.status, settled.default, settled.source) == ("PASSED", True, "pypi:x==1")
    assert settled.created_at.startswith("2026-11-21T12:00:0")
    assert settled.created_at.endswith("+00:00")


def test_what_is_unknown_is_none(catalog: Catalog) -> None:
    settle(catalog)
    assert catalog.get("other") is None
    assert catalog.get("org/name", "9.9.9") is None
    assert catalog.versions("other") == []
    assert catalog.recall_resolution("other") is None
    assert catalog.recall_dropped("other") == ()
    assert catalog.reports([digest("other")]) == []


def test_the_same_manifest_keeps_its_number_and_gets_the_new_judgement(catalog: Catalog) -> None:
    first = settle(catalog)
    asked: list[ModelVersion | None] = []
    card = ModelCard()
    again = catalog.settle_version(
        "org/name",
        "file:/elsewhere",
        manifest(),
        card,
        decision("FAILED"),
        (),
        lambda latest: asked.append(latest) or "9",
    )
    assert asked == []
    assert (again.version, again.status, again.card, again.reports) == ("1.0.0", "FAILED", card, ())
    assert again.source == "file:/elsewhere"
    assert again.created_at == first.created_at
    assert len(catalog.versions("org/name")) == 1


def test_choose_sees_the_latest_version(catalog: Catalog) -> None:
    seen: list[str | None] = []

    def choose(latest: ModelVersion | None) -> str:
        seen.append(latest.version if latest else None)
        return f"1.{len(seen)}.0"

    for content in ("a", "b", "c"):
        catalog.settle_version("m", "mock:m", manifest(content), CARD, decision("FAILED"), (), choose)
    assert seen == [None, "1.1.0", "1.2.0"]


def test_a_number_belongs_to_one_manifest(catalog: Catalog) -> None:
    settle(catalog, "a")
    with pytest.raises(CatalogError, match="choose another number"):
        settle(catalog, "b", "1.0.0")
    assert [version.version for version in catalog.versions("org/name")] == ["1.0.0"]
    assert settle(catalog, "b", "1.0.0", name="another").version == "1.0.0"


@pytest.mark.parametrize("name", ["", "x" * 256, "../x", "a@1.0"])
def test_a_name_that_nobody_can_address_is_refused(catalog: Catalog, name: str) -> None:
    with pytest.raises(InvalidName, match="--name"):
        settle(catalog, name=name)
    assert catalog.lists.models() == []


def test_the_default_is_the_newest_that_passed(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    assert settle(catalog, "b", "1.1.0").default
    failed = settle(catalog, "c", "1.2.0", "FAILED")
    skipped = settle(catalog, "d", "1.3.0", "SKIPPED")
    assert not failed.default
    assert not skipped.default
    found = catalog.get("org/name")
    assert found is not None
    assert (found.version, found.default) == ("1.1.0", True)
    settle(catalog, "b", verdict="FAILED")
    found = catalog.get("org/name")
    assert found is not None
    assert found.version == "1.0.0"


def test_without_any_that_passed_the_latest_is_shown(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0", "FAILED")
    settle(catalog, "b", "1.1.0", "FAILED")
    found = catalog.get("org/name")
    assert found is not None
    assert (found.version, found.default, found.status) == ("1.1.0", False, "FAILED")


def test_the_state_is_that_of_the_whole_version(catalog: Catalog) -> None:
    for content, number, verdict in (("a", "1.0.0", "PASSED"), ("b", "1.1.0", "PASSED"), ("c", "1.2.0", "FAILED")):
        settle(catalog, content, number, verdict)  # type: ignore[arg-type]
        assert {one.version: catalog.state("org/name", one.version) for one in catalog.versions("org/name")} == {
            one.version: (one.status, one.default) for one in catalog.versions("org/name")
        }
    catalog.remove("org/name", "1.1.0")
    assert catalog.state("org/name", "1.1.0") is catalog.state("other", "1.0.0") is None


def test_reports_share_what_they_have_in_common(catalog: Catalog) -> None:
    catalog.add_reports([report("a"), report("b")])
    one, other = catalog.reports([digest("a"), digest("b")])
    assert one.engine is other.engine
    assert one.rules is other.rules


def test_a_fixed_default_stays_and_is_never_replaced_unasked(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    settle(catalog, "b", "1.1.0")
    catalog.set_default("org/name", "1.0.0")
    assert not settle(catalog, "c", "1.2.0").default
    assert [version.version for version in catalog.versions("org/name") if version.default] == ["1.0.0"]
    settle(catalog, "a", verdict="FAILED")
    assert [version for version in catalog.versions("org/name") if version.default] == []
    catalog.set_default("org/name", None)
    assert [version.version for version in catalog.versions("org/name") if version.default] == ["1.2.0"]


def test_what_failed_cannot_be_made_the_default(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0", "FAILED")
    with pytest.raises(CatalogError, match="FAILED"):
        catalog.set_default("org/name", "1.0.0")
    with pytest.raises(CatalogError, match="knows no"):
        catalog.set_default("org/name", "2.0.0")
    with pytest.raises(CatalogError, match="knows no"):
        catalog.set_default("other", None)


def test_a_withdrawal_outlives_later_decisions(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    catalog.withdraw("org/name", "1.0.0", "It answers with secrets.")
    settled = settle(catalog, "a", "1.0.0", "PASSED")
    assert settled == catalog.get("org/name", "1.0.0")
    assert (settled.status, settled.default, settled.decision.verdict) == ("FAILED", False, "FAILED")
    assert settled.decision.reasons[0].rule == "withdrawn"
    assert settled.decision.reasons[0].message == "It answers with secrets."
    catalog.reinstate("org/name", "1.0.0")
    found = catalog.get("org/name", "1.0.0")
    assert found is not None
    assert (found.status, found.default, found.decision.verdict) == ("PASSED", True, "PASSED")
    for change in (lambda *which: catalog.reinstate(*which), lambda *which: catalog.withdraw(*which, "?")):
        with pytest.raises(CatalogError, match="knows no"):
            change("org/name", "7.0.0")


def test_a_withdrawal_is_taken_back_by_its_role_or_a_higher_one(catalog: Catalog) -> None:
    settle(catalog)
    cases: tuple[tuple[Role, Role, bool], ...] = (
        ("publisher", "publisher", True),
        ("publisher", "admin", True),
        ("admin", "publisher", False),
        ("reader", "publisher", True),
    )
    for withdrawer, role, may in cases:
        catalog.withdraw("org/name", "1.0.0", "recalled", withdrawer)
        assert catalog.withdrawals("org/name") == {"1.0.0": withdrawer}
        with nullcontext() if may else pytest.raises(NotPermitted, match="the role admin"):
            catalog.reinstate("org/name", "1.0.0", role)
        catalog.reinstate("org/name", "1.0.0")
        assert catalog.withdrawals("org/name") == {}


def test_what_was_withdrawn_before_roles_were_kept_takes_an_admin(catalog: Catalog) -> None:
    settle(catalog)
    catalog.withdraw("org/name", "1.0.0", "recalled", "publisher")
    with catalog._database.write() as connection:
        connection.execute(schema.versions.update().values(withdrawn_role=None))
    with pytest.raises(NotPermitted):
        catalog.reinstate("org/name", "1.0.0", "publisher")
    catalog.withdraw("org/name", "1.0.0", "mine", "publisher")
    assert catalog.withdrawals("org/name") == {"1.0.0": "admin"}


def test_one_line_a_model(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0", name="b/second")
    settle(catalog, "longer", "1.1.0", "FAILED", name="b/second")
    settle(catalog, "a", "1.0.0", "FAILED", name="a/first")
    first, second = catalog.lists.models()
    assert (first.name, first.version, first.default, first.status, first.versions) == (
        "a/first", "1.0.0", False, "FAILED", 1,
    )  # fmt: skip
    assert (second.name, second.version, second.default, second.status, second.versions) == (
        "b/second", "1.0.0", True, "PASSED", 2,
    )  # fmt: skip
    assert (second.manifest.size, second.card) == (3, CARD)
    assert second.updated_at.tzinfo == UTC


def test_publications(catalog: Catalog) -> None:
    settle(catalog)
    there = Publication("mlflow", "models:/org--name/1", ("import mlflow", "…"))
    catalog.places.add("org/name", "1.0.0", replace(there, load=()))
    catalog.places.add("org/name", "1.0.0", there)
    catalog.places.add("org/name", "1.0.0", Publication("export", "/models"))
    found = catalog.get("org/name")
    assert found is not None
    assert found.published == (Publication("export", "/models"), there)
    catalog.places.remove("org/name", "1.0.0", "mlflow")
    found = catalog.get("org/name")
    assert found is not None
    assert found.published == (Publication("export", "/models"),)
    with pytest.raises(CatalogError, match="knows no"):
        catalog.places.add("org/name", "7.0.0", there)


def test_ingests(catalog: Catalog) -> None:
    first = catalog.begin_ingest("org/name", "hf:org/name", run_url="http://127.0.0.1/runs/1")
    second = catalog.begin_ingest("other", "mock:other")
    for status in ("FETCHING", "SCANNING", "PASSED"):
        catalog.update_ingest(first, status)  # type: ignore[arg-type]
    catalog.update_ingest(first, "PASSED", version="1.0.0")
    catalog.update_ingest(second, "ERROR", error="disk full")
    newest, oldest = catalog.ingests()
    assert (newest.id, newest.status, newest.error, newest.version) == (second, "ERROR", "disk full", "")
    assert (oldest.id, oldest.status, oldest.version, oldest.error) == (first, "PASSED", "1.0.0", "")
    assert oldest.run_url == "http://127.0.0.1/runs/1"
    assert oldest.updated_at > oldest.started_at
    assert catalog.ingests("org/name") == [oldest]
    assert catalog.ingests(limit=1) == [newest]
    assert catalog.ingests("org/name", run="1") == [oldest]
    assert catalog.ingests("other", run="1") == catalog.ingests(run="%") == catalog.ingests(run="s/1") == []
    with pytest.raises(CatalogError, match="no ingest"):
        catalog.update_ingest(999, "PASSED")


def test_resolutions(catalog: Catalog) -> None:
    catalog.remember_resolution("f1", manifest("a"), ("x.dist-info/RECORD",))
    catalog.remember_resolution("f2", manifest("a", archive="wheel"))
    assert catalog.recall_resolution("f1") == manifest("a")
    assert catalog.recall_dropped("f1") == ("x.dist-info/RECORD",)
    assert catalog.recall_resolution("f2") == manifest("a", archive="wheel")
    catalog.remember_resolution("f1", manifest("b"))
    assert catalog.recall_resolution("f1") == manifest("b")
    assert catalog.recall_dropped("f1") == ()


def test_who_holds_a_blob(catalog: Catalog) -> None:
    one, two = FileEntry("a", 1, digest("one")), FileEntry("b", 2, digest("two"))
    elsewhere = ModelRef.parse("file:/elsewhere")
    catalog.remember_resolution("f1", Manifest(REF, (one, two)))
    catalog.remember_resolution("f2", Manifest(elsewhere, (one,)))
    held = {found.ref.uri: found.files for found in catalog.holding(digest("one"))}
    assert held == {REF.uri: (one, two), elsewhere.uri: (one,)}
    assert catalog.holding(digest("two")) == [Manifest(REF, (one, two))]
    assert catalog.holding(digest("three")) == []


def test_a_declared_manifest_without_sizes_and_an_empty_one(catalog: Catalog) -> None:
    unsure = Manifest(REF, (FileEntry("a"), FileEntry("b", 2**40)))
    catalog.remember_resolution("unsure", unsure)
    catalog.remember_resolution("empty", Manifest(REF, ()))
    assert catalog.recall_resolution("unsure") == unsure
    assert catalog.recall_resolution("empty") == Manifest(REF, ())


def test_of_one_key_the_newest_report_counts(catalog: Catalog) -> None:
    failed, completed, other_rules = report(status="failed"), report(), report(rules="db-2")
    catalog.add_reports([failed])
    catalog.add_reports([completed, other_rules])
    assert catalog.reports([digest("weights")]) == [completed, other_rules]
    catalog.add_reports([failed])
    assert catalog.reports([digest("weights")]) == [failed, other_rules]


def test_an_old_version_keeps_the_report_it_rests_on(catalog: Catalog) -> None:
    settled = settle(catalog)
    catalog.add_reports([report(status="failed")])
    assert catalog.get("org/name") == settled


def test_thousands_of_reports_at_once(catalog: Catalog) -> None:
    names = [f"shard {number}" for number in range(3000)]
    catalog.add_reports(report(name) for name in names)
    found = catalog.reports(digest(name) for name in names)
    assert {item.digest for item in found} == {digest(name) for name in names}
    assert len(found) == 3000


def test_thousands_of_files(catalog: Catalog) -> None:
    many = Manifest(REF, tuple(FileEntry(f"part-{number}", number, digest(str(number))) for number in range(3000)))
    catalog.remember_resolution("many", many)
    assert catalog.recall_resolution("many") == many


def test_each_change_is_a_row_of_the_audit_log(catalog: Catalog) -> None:
    settle(catalog)
    catalog.withdraw("org/name", "1.0.0", "\0 ½")
    catalog.set_default("org/name", None)
    settled, withdrawn, default = catalog.audit.rows()
    assert (settled.action, settled.object, settled.before) == ("version.settled", "org/name@1.0.0", None)
    assert settled.after is not None
    assert settled.after["status"] == "PASSED"
    assert (withdrawn.before, withdrawn.after) == ({"status": "PASSED"}, {"status": "FAILED", "reason": "\0 ½"})
    assert catalog.audit.rows(after=settled.number) == [withdrawn, default]
    assert catalog.audit.rows(action="version.settled") == [settled]
    assert catalog.audit.rows(object_="org/name") == [default]
    assert catalog.audit.rows(limit=1) == [settled]


def test_text_that_no_database_takes(catalog: Catalog) -> None:
    ingest = catalog.begin_ingest("a\0b", "mock:\ud800")
    catalog.update_ingest(ingest, "ERROR", error="bad byte \0")
    (found,) = catalog.ingests()
    assert (found.name, found.uri, found.error) == ("a\ufffdb", "mock:\ufffd", "bad byte \ufffd")


def test_a_failed_transaction_leaves_nothing(catalog: Catalog) -> None:
    def choose(_latest: ModelVersion | None) -> str:
        raise KeyError("a bug in the caller")

    with pytest.raises(KeyError):
        catalog.settle_version("m", "mock:m", manifest(), CARD, decision(), (report(),), choose)
    assert catalog.lists.models() == []
    assert catalog.reports([digest("weights")]) == []


def test_changed_files_are_noticed(catalog: Catalog) -> None:
    settle(catalog)
    with catalog._database.write() as connection:
        connection.execute(text("UPDATE files SET size = size + 1"))
    with pytest.raises(CatalogError, match="not that manifest's"):
        catalog.get("org/name")


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                settle(catalog, f"{number}", "1.0.0", name=f"model-{number}")
                catalog.add_reports([report(f"{number}-{step}")])
                assert catalog.get(f"model-{number}") is not None
        except (AssertionError, CatalogError, CatalogUnavailable) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(catalog.lists.models()) == 6
