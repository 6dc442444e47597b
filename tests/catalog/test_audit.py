"""The audit log on SQLite and on PostgreSQL: each change has its row, writers lose nothing, and tampering is found."""

from __future__ import annotations

import ast
import inspect
import multiprocessing
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.catalog.earlier import _EVENTS, take_back
from tests.catalog.test_catalog import settle
from tests.catalog.test_results import result
from tests.catalog.values import manifest, report
from weighbridge.catalog import Attempt, Catalog, JobEnd, JobOrder, Subscription, TransitEnd
from weighbridge.catalog.acknowledgements import Acknowledgements
from weighbridge.catalog.bundles import Bundles
from weighbridge.catalog.declarations import Declarations
from weighbridge.catalog.deliveries import Deliveries
from weighbridge.catalog.hub_announcements import HubAnnouncements
from weighbridge.catalog.job_queue import JobQueue
from weighbridge.catalog.jobs import MOST_BEGINNINGS
from weighbridge.catalog.keys import Keys
from weighbridge.catalog.places import Places
from weighbridge.catalog.subscriptions import Subscriptions
from weighbridge.catalog.transits import Transits
from weighbridge.domain.audit import EMPTY, Head
from weighbridge.domain.hub_models import HubChange, HubField, HubPass, PassKind
from weighbridge.domain.hub_news import RefreshDigest, WatchedChange
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import Publication
from weighbridge.domain.webhooks import EVENTS, Destination
from weighbridge.errors import CatalogError

Open = Callable[..., Catalog]
ORDER = JobOrder("rescan", "org/name", {}, "key:ci")
SUBSCRIPTION = Subscription(Destination("https://hooks.example/", "mark/name"), EVENTS, (), "issuer:ada")
CHANGE = HubChange("org/name", HubField.GATED, "no", "auto", datetime(2026, 11, 28, tzinfo=UTC))
PUBLICATION = Publication("export", "/there/1", (), "/there")


def _end(catalog: Catalog, id_: str) -> None:
    assert catalog.jobs.take("process", 30) is not None
    catalog.jobs.end(id_, "process", JobEnd("done", "PASSED", "1.0.0"), {})


def _take_too_often(catalog: Catalog) -> None:
    catalog.jobs.add(ORDER)
    for _ in range(MOST_BEGINNINGS):
        assert catalog.jobs.take("process", -1) is not None  # Its lease has ended before it works.
    assert catalog.jobs.take("process", 30) is None


def _repeat(catalog: Catalog) -> None:
    catalog.subscriptions.add(SUBSCRIPTION)
    catalog.withdraw("org/name", "1.0.0", "")
    catalog.deliveries.repeat(catalog.deliveries.listed()[0].id)


def _disable(catalog: Catalog) -> None:
    catalog.subscriptions.add(SUBSCRIPTION)
    catalog.withdraw("org/name", "1.0.0", "")
    delivery = catalog.deliveries.take("process", 30)
    assert delivery is not None
    gone = Attempt("2026", 410, "Gone.", 7)
    catalog.deliveries.note(delivery, "process", gone, None, unwanted=True)


def _settle_transit(catalog: Catalog, end: TransitEnd) -> None:
    declared = Manifest(ModelRef.parse(f"hf:org/name@{'c' * 40}"), (FileEntry("a", 1, None),))
    catalog.transits.describe("models", "org/name", declared, "key:ci")
    transit = catalog.transits.newest("models", "org/name")
    assert transit is not None
    catalog.transits.hand_on(transit.id, "a", "key:ci", "192.0.2.1")
    assert catalog.transits.settle(transit.id, end)
    assert not catalog.transits.settle(transit.id, end), "nobody got anything since"


#: Each method that changes something, after `settle` of org/name@1.0.0, with the actions that it records.
CHANGES: dict[str, tuple[Callable[[Catalog], Any], list[str]]] = {
    "begin_ingest": (lambda c: c.begin_ingest("m", "mock:m"), ["ingest.begun"]),
    "update_ingest": (
        lambda c: c.update_ingest(c.begin_ingest("m", "mock:m"), "ERROR", error="no"),
        ["ingest.begun", "ingest.updated"],
    ),
    "remember_resolution": (lambda c: c.remember_resolution("f", manifest()), ["resolution.remembered"]),
    "add_reports": (lambda c: c.add_reports([report("other")]), ["reports.added"]),
    "add_result": (lambda c: c.add_result(result(c.versions("org/name")[0], 1.0)), ["result.added"]),
    "settle_version": (lambda c: settle(c, "other", "2.0.0"), ["version.settled"]),
    "set_default": (lambda c: c.set_default("org/name", "1.0.0"), ["model.default"]),
    "withdraw": (lambda c: c.withdraw("org/name", "1.0.0", "recalled"), ["version.withdrawn"]),
    "reinstate": (lambda c: c.reinstate("org/name", "1.0.0"), ["version.reinstated"]),
    "remove": (lambda c: c.remove("org/name", "1.0.0"), ["version.removed"]),
    "purge": (
        lambda c: [c.withdraw("org/name", "1.0.0", ""), c.purge("org/name", "1.0.0")],
        ["version.withdrawn", "version.purged"],
    ),
    "record_served": (
        lambda c: c.record_served("org/name", "1.0.0", manifest().digest, "192.0.2.1"),
        ["version.served"],
    ),
    "places.begin_upload": (
        lambda c: c.places.begin_upload("org/name", "1.0.0", "export", "/there"),
        ["version.uploading"],
    ),
    "places.add": (lambda c: c.places.add("org/name", "1.0.0", PUBLICATION), ["version.published"]),
    "declarations.change": (lambda c: c.declarations.change("org/name", {"tags": ["a"]}), ["model.declared"]),
    "declarations.set_changelog": (
        lambda c: c.declarations.set_changelog("org/name", "1.0.0", "Tuned."),
        ["version.described"],
    ),
    "acknowledgements.add": (
        lambda c: c.acknowledgements.add("org/name", "1.0.0", "MIT", {}, "Ada"),
        ["licence.acknowledged"],
    ),
    "bundles.note_packed": (
        lambda c: c.bundles.note_packed("org/name", "1.0.0", manifest().digest),
        ["version.bundled"],
    ),
    "bundles.note_imported": (
        lambda c: [c.bundles.note_imported("org/name", "1.0.0", {"bundle": "sha256:1"}) for _ in range(2)],
        ["version.imported"],
    ),
    "hub_announcements.announce": (
        lambda c: [c.hub_announcements.announce("hub", 0, 1, [WatchedChange(1, CHANGE)]) for _ in range(2)],
        ["hub.model.changed"],
    ),
    "hub_announcements.conclude": (
        lambda c: [c.hub_announcements.conclude("hub", RefreshDigest(HubPass(1, PassKind.FULL, "", CHANGE.at)))],
        ["hub.refreshed"],
    ),
    "jobs.add": (lambda c: c.jobs.add(ORDER), ["job.queued"]),
    "jobs.take": (_take_too_often, ["job.queued", "job.failed"]),
    "jobs.end": (lambda c: _end(c, c.jobs.add(ORDER).id), ["job.queued", "job.done"]),
    "jobs.cancel": (lambda c: c.jobs.cancel(c.jobs.add(ORDER).id), ["job.queued", "job.cancelled"]),
    "jobs.forget": (
        lambda c: [_end(c, c.jobs.add(ORDER).id), c.jobs.forget(timedelta(days=-1))],
        ["job.queued", "job.done", "jobs.forgotten"],
    ),
    "keys.add": (lambda c: c.keys.add("ci", "hash", "reader", (), None), ["key.created"]),
    "keys.revoke": (
        lambda c: [c.keys.add("ci", "hash", "reader", (), None), c.keys.revoke("ci")],
        ["key.created", "key.revoked"],
    ),
    "subscriptions.add": (lambda c: c.subscriptions.add(SUBSCRIPTION), ["webhook.created"]),
    "subscriptions.remove": (
        lambda c: c.subscriptions.remove(c.subscriptions.add(SUBSCRIPTION).id),
        ["webhook.created", "webhook.removed"],
    ),
    "subscriptions.enable": (
        lambda c: [_disable(c), c.subscriptions.enable(c.subscriptions.listed()[0].id)],
        ["webhook.created", "version.withdrawn", "webhook.disabled", "webhook.enabled"],
    ),
    "deliveries.note": (_disable, ["webhook.created", "version.withdrawn", "webhook.disabled"]),
    "deliveries.repeat": (_repeat, ["webhook.created", "version.withdrawn", "delivery.repeated"]),
    "transits.settle": (
        lambda c: [
            _settle_transit(c, TransitEnd("1.0.0", passed=False, facts={"status": "FAILED"})),
            _settle_transit(c, TransitEnd("1.0.0", passed=True, facts={"status": "PASSED"})),
        ],
        ["version.exposed", "version.served"],
    ),
    "places.remove": (lambda c: c.places.remove("org/name", "1.0.0", "export"), ["version.unpublished"]),
}


def _changing(kind: type) -> Iterator[str]:
    """The methods of a class that open a transaction for changes."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef)
    for node in body.body:
        if isinstance(node, ast.FunctionDef) and re.search(r"_changes(\.of\(.*\))?\.begin\(\)", ast.unparse(node)):
            yield node.name


def test_the_table_above_has_every_method_that_changes_something() -> None:
    places = {f"places.{name}" for name in _changing(Places)}
    jobs = {f"jobs.{name}" for name in _changing(JobQueue)}
    keys = {f"keys.{name}" for name in _changing(Keys)}
    declarations = {f"declarations.{name}" for name in _changing(Declarations)}
    acknowledgements = {f"acknowledgements.{name}" for name in _changing(Acknowledgements)}
    webhooks = {f"subscriptions.{name}" for name in _changing(Subscriptions)}
    webhooks |= {f"deliveries.{name}" for name in _changing(Deliveries)}
    bundles = {f"bundles.{name}" for name in _changing(Bundles)}
    transits = {f"transits.{name}" for name in _changing(Transits)}
    news = {f"hub_announcements.{name}" for name in _changing(HubAnnouncements)}
    rest = news | bundles | transits | places | jobs | keys | declarations | acknowledgements | webhooks
    assert {*_changing(Catalog), *rest} == set(CHANGES)
    assert "write()" not in inspect.getsource(Catalog) + inspect.getsource(Places), "a change without the audit log"


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_has_its_row_and_its_actor(catalog: Catalog, name: str) -> None:
    settle(catalog)
    change, actions = CHANGES[name]
    before = len(catalog.audit.rows())
    change(catalog.acting("key:ci"))
    rows = catalog.audit.rows(after=before)
    assert [(row.action, row.actor) for row in rows] == [(action, "key:ci") for action in actions]
    assert catalog.audit.prove().flaws == ()


def test_what_failed_has_no_row(catalog: Catalog) -> None:
    for change in (
        lambda: catalog.withdraw("org/name", "1.0.0", ""),
        lambda: catalog.update_ingest(7, "ERROR"),
        lambda: catalog.set_default("org/name", None),
    ):
        with pytest.raises(CatalogError):
            change()
    assert (catalog.audit.rows(), catalog.audit.prove().head) == ([], EMPTY)


def test_the_values_before_and_after(catalog: Catalog) -> None:
    settle(catalog)
    catalog.set_default("org/name", "1.0.0")
    catalog.set_default("org/name", None)
    catalog.withdraw("org/name", "1.0.0", "recalled")
    catalog.reinstate("org/name", "1.0.0")
    assert [(row.before, row.after) for row in catalog.audit.rows()[1:]] == [
        ({"version": None}, {"version": "1.0.0"}),
        ({"version": "1.0.0"}, {"version": None}),
        ({"status": "PASSED"}, {"status": "FAILED", "reason": "recalled"}),
        ({"status": "FAILED"}, {"status": "PASSED"}),
    ]


def test_hostile_text_fits_the_chain(catalog: Catalog) -> None:
    settle(catalog)
    for words in ("\0 \ud800 ½ \u202e", '"}\n{"', "\U0001f600"):
        catalog.acting(f"issuer:{words}").withdraw("org/name", "1.0.0", words)
    assert catalog.audit.prove().flaws == ()
    assert len(catalog.audit.rows(action="version.withdrawn")) == 3


def test_the_newest_rows(catalog: Catalog) -> None:
    settle(catalog)
    settle(catalog, "b", "2.0.0", name="other")
    catalog.withdraw("org/name", "1.0.0", "")
    assert [row.number for row in catalog.audit.newest(2)] == [2, 3]
    assert [row.number for row in catalog.audit.newest(model="org/name")] == [1, 3]


TAMPERED = {
    "altered": ("UPDATE audit SET actor = 'cli:other' WHERE number = 3", "Row 3 "),
    "altered, NULL": ("UPDATE audit SET before = NULL WHERE number = 3", "Row 3 "),
    "moment": ("UPDATE audit SET at = '2020-01-01 00:00:00' WHERE number = 3", "Row 3 "),
    "removed": ("DELETE FROM audit WHERE number = 3", "Row 3 is missing"),
    "newest removed": ("DELETE FROM audit WHERE number >= 4", "Rows 4 to 5 are missing"),
    "all removed": ("DELETE FROM audit", "Rows 1 to 5 are missing"),
    "inserted": (
        "INSERT INTO audit SELECT 6, at, actor, action, object, before, after, hash FROM audit WHERE number = 5",
        "Row 6 ",
    ),
    "head": ("UPDATE audit_head SET number = 4", "Row 5 is not in the log's count"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_with_the_database_is_found(url: str, catalog: Catalog, name: str) -> None:
    settle(catalog)
    for number in range(4):
        catalog.withdraw("org/name", "1.0.0", str(number))
    statement, flaw = TAMPERED[name]
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert any(flaw in found for found in catalog.audit.prove().flaws)


def test_a_log_cut_together_with_its_head_is_found_by_what_was_kept(url: str, catalog: Catalog) -> None:
    settle(catalog)
    for number in range(4):
        catalog.withdraw("org/name", "1.0.0", str(number))
    kept = catalog.audit.prove().head
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE number > 2"))
        values = "number = 2, hash = (SELECT hash FROM audit WHERE number = 2)"
        connection.execute(text(f"UPDATE audit_head SET {values}"))
    engine.dispose()
    assert catalog.audit.prove().flaws == ()
    assert catalog.audit.prove([kept]).flaws == ("Row 5, whose hash was kept, is missing.",)


# Several writers

_WRITERS, _EACH = 8, 15


def _write(catalog: Catalog, who: int) -> None:
    for number in range(_EACH):
        catalog.acting(f"key:{who}").begin_ingest(f"m{number}", "mock:m")
        catalog.acting(f"key:{who}").remember_resolution(f"{who}-{number}", manifest(f"{number}"))


def _write_in_a_process(url: str, who: int, barrier: Any) -> None:
    with Catalog.open(url, lambda: datetime.now(UTC)) as catalog:
        barrier.wait(60)
        _write(catalog, who)


def _assert_nothing_was_lost(catalog: Catalog) -> None:
    rows = list(catalog.audit.each())
    assert [row.number for row in rows] == list(range(1, 2 * _WRITERS * _EACH + 1))
    assert len(catalog.ingests(limit=1000)) == _WRITERS * _EACH
    for who in range(_WRITERS):
        own = [row.action for row in rows if row.actor == f"key:{who}"]
        assert own == ["ingest.begun", "resolution.remembered"] * _EACH
    proof = catalog.audit.prove()
    assert (proof.flaws, proof.head) == ((), Head(len(rows), rows[-1].hash))


def test_eight_threads_that_write_at_once_lose_nothing(catalog: Catalog) -> None:
    seen = 0
    with ThreadPoolExecutor(_WRITERS) as pool:
        writers = [pool.submit(_write, catalog, who) for who in range(_WRITERS)]
        while wait(writers, 0.05).not_done:  # A reader beside them sees a whole log at every moment.
            proof = catalog.audit.prove()
            assert proof.flaws == ()
            assert proof.rows >= seen
            seen = proof.rows
    for writer in writers:
        writer.result()
    _assert_nothing_was_lost(catalog)


def test_eight_processes_that_write_at_once_lose_nothing(url: str, catalog: Catalog) -> None:
    spawning = multiprocessing.get_context("forkserver")
    spawning.set_forkserver_preload(["weighbridge.catalog", "tests.catalog.test_audit"])
    barrier = spawning.Barrier(_WRITERS)
    processes = [spawning.Process(target=_write_in_a_process, args=(url, who, barrier)) for who in range(_WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * _WRITERS
    _assert_nothing_was_lost(catalog)


# What was there before


def test_events_of_a_catalog_from_before_become_the_first_rows(url: str, catalog: Catalog, open_catalog: Open) -> None:
    settle(catalog)
    at = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    details = [{"reason": "\0 ½", "n": [1, 2.5, None]}, {}, *({"count": count} for count in range(1500))]
    with catalog._database.write() as connection:
        take_back(connection, "0006")
        rows = [
            {"id": 3 * number, "at": at, "kind": "a.b", "subject": f"m{number}", "detail": detail}
            for number, detail in enumerate(details, start=1)
        ]
        connection.execute(_EVENTS.insert(), rows)
    catalog.close()
    again = open_catalog(url)
    found = list(again.audit.each())
    assert [(row.number, row.object, row.after) for row in found] == [
        (number, f"m{number}", detail) for number, detail in enumerate(details, start=1)
    ]
    assert {(row.at, row.actor, row.action, row.before) for row in found} == {(at, "unknown", "a.b", None)}
    again.withdraw("org/name", "1.0.0", "")
    proof = again.audit.prove()
    assert (proof.rows, proof.flaws) == (len(details) + 1, ())


def test_a_fresh_catalog_has_an_empty_log(catalog: Catalog) -> None:
    proof = catalog.audit.prove()
    assert (proof.rows, proof.head, proof.flaws) == (0, EMPTY, ())
