"""Rescans in the catalog: what is due of a real catalog's tables, in which order, and who may work at it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest

from tests.catalog.conftest import Clock
from tests.catalog.values import CARD, decision, digest, report
from weighbridge.catalog import Catalog, VersionUse
from weighbridge.catalog.due_blobs import DueQuery
from weighbridge.catalog.rescans import LEASE
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport, Status
from weighbridge.domain.rescans import OVERDUE, Gap, Marks, RescanRequest, counts
from weighbridge.errors import CatalogUnavailable, ChangedMeanwhile

OLD, NEW = "db-1", "db-2"
REQUEST = RescanRequest()


def marks(rules: str = NEW, *more: str) -> Marks:
    return Marks({"clamav": (("1.4.6", rules),), **dict.fromkeys(more, (("1.4.6", "r"),))})


def put(catalog: Catalog, name: str, contents: Iterable[str], number: str = "1.0.0", rules: str = OLD) -> None:
    """Settle a version whose files have these contents, and whose reports are of an engine."""
    contents = list(contents)
    files = tuple(FileEntry(f"{number}/{text}", len(text), digest(text)) for text in contents)
    reports = tuple(report(text, rules=rules) for text in contents)
    made = Manifest(ModelRef.parse(f"mock:{name}"), files)
    catalog.settle_version(name, "mock:x", made, CARD, decision("PASSED", reports), reports, lambda _: number)


def due(catalog: Catalog, query: DueQuery | None = None, limit: int = 100) -> list[str]:
    texts = {str(digest(text)): text for text in ("a", "b", "c", "d", "e", "shared", "weights")}
    return [texts[blob.digest] for blob in catalog.rescans.due(query or DueQuery(marks()), limit)]


def test_a_blob_of_two_versions_is_due_once_until_an_engine_of_today_has_seen_it(catalog: Catalog) -> None:
    put(catalog, "org/one", ["a", "shared"])
    put(catalog, "org/two", ["shared"])
    assert sorted(due(catalog)) == ["a", "shared"]
    assert catalog.rescans.totals(DueQuery(marks())) == (2, 7)
    assert due(catalog, DueQuery(marks(OLD))) == []
    catalog.add_reports([report("shared", rules=NEW)])
    assert due(catalog) == ["a"]
    assert catalog.rescans.outdated(DueQuery(marks())) == [("org/two", "1.0.0")]
    assert catalog.rescans.outdated(DueQuery(marks()), [str(digest("a"))]) == []
    catalog.add_reports([report("a", rules=NEW)])
    both = [("org/one", "1.0.0"), ("org/two", "1.0.0")]
    assert catalog.rescans.outdated(DueQuery(marks()), [str(digest("shared"))]) == both
    put(catalog, "org/two", ["shared"], rules=NEW)
    assert catalog.rescans.outdated(DueQuery(marks())) == both[:1]
    (known,) = catalog.rescans.known(marks(), [str(digest("shared"))])
    assert known.rules == NEW


def test_a_new_scanner_makes_every_blob_due(catalog: Catalog) -> None:
    put(catalog, "org/one", ["a"], rules=NEW)
    assert due(catalog) == []
    both = DueQuery(marks(NEW, "pickles"))
    assert due(catalog, both) == ["a"]
    catalog.add_reports([report("a", scanner="pickles", rules="r")])
    assert due(catalog, both) == []
    assert catalog.rescans.outdated(both) == [("org/one", "1.0.0")]


STATES: list[tuple[Status, str]] = [
    *itertools.product(("completed", "partial", "failed"), ("", "windowed", "encrypted")),  # type: ignore[list-item]
    *[("skipped", reason) for reason in ("", NOT_APPLICABLE)],
]


def test_the_database_and_the_rule_agree_on_which_reports_count(catalog: Catalog) -> None:
    put(catalog, "org/one", ["a"])
    for status, reason in STATES:
        mark = f"{status}/{reason}"
        one = ScanReport(digest("a"), "clamav", "1.4.6", mark, "json", status, 0, 1, reason)
        catalog.add_reports([one])
        assert (due(catalog, DueQuery(marks(mark))) == []) is counts(one, partial=True), mark


def test_default_versions_and_the_most_wanted_come_first(catalog: Catalog) -> None:
    put(catalog, "org/one", ["a"], "1.0.0")
    put(catalog, "org/one", ["b"], "2.0.0")
    put(catalog, "org/two", ["c"])
    put(catalog, "org/three", ["d"])
    put(catalog, "org/three", ["e"], "2.0.0")
    now = catalog._changes.clock()
    wanted = (("org/one", "1.0.0", 900), ("org/two", "1.0.0", 7), ("org/three", "1.0.0", 5))
    catalog.uses.add([VersionUse(name, number, requests, now) for name, number, requests in wanted])
    order = due(catalog)
    assert order[0] == "c"
    assert set(order[1:3]) == {"b", "e"}, "both are default versions that nobody asked for"
    assert order[3:] == ["a", "d"], "900 requests for an old version come after every default one"
    assert due(catalog, limit=2) == order[:2]


def test_what_waited_for_weeks_goes_before_default_versions(url: str, open_catalog: Callable[..., Catalog]) -> None:
    """Scans ordered by popularity alone never reach the rest where the time is too short for all of it."""
    catalog, clock = open_catalog(url), Clock()
    catalog._changes.clock = clock
    put(catalog, "org/old", ["a"], "1.0.0")
    clock.now += timedelta(hours=1)
    put(catalog, "org/old", ["b"], "1.1.0")
    put(catalog, "org/old", ["c"], "2.0.0")
    clock.now += OVERDUE
    put(catalog, "org/new", ["d"])
    catalog.add_reports([report("c", rules="db-1b")])
    assert due(catalog) == ["a", "b", *sorted(("c", "d"), key=lambda text: str(digest(text)))]
    assert [blob.overdue for blob in catalog.rescans.due(DueQuery(marks()), 9)] == [True, True, False, False]


def test_only_what_is_asked_for_and_here_is_due(catalog: Catalog) -> None:
    put(catalog, "org/one", ["a"], "1.0.0")
    put(catalog, "org/one", ["b"], "2.0.0")
    put(catalog, "org/two", ["c"])
    assert due(catalog, DueQuery(marks(), ("org/one@1.0.0", "org/two"))) in (["a", "c"], ["c", "a"])
    catalog.withdraw("org/one", "1.0.0", "recalled")
    assert "a" not in due(catalog)
    assert due(catalog, DueQuery(marks(), ("org/one@1.0.0",))) == ["a"], "by its name, also what does not pass"
    catalog.removals.purge("org/one", "1.0.0")
    assert due(catalog, DueQuery(marks(), ("org/one@1.0.0",))) == []
    assert catalog.rescans.purged(DueQuery(marks(), ("org/one",))) == ["org/one@1.0.0"]
    catalog.removals.remove("org/two", "1.0.0", "gone")
    assert due(catalog) == ["b"]
    assert catalog.rescans.holders(str(digest("b"))) == ["org/one@2.0.0"]
    assert catalog.rescans.paths([str(digest("b"))]) == {str(digest("b")): ["2.0.0/b"]}


def test_what_could_not_be_looked_at_does_not_come_again_in_the_same_rescan(catalog: Catalog) -> None:
    put(catalog, "org/one", ["a", "b"])
    number = catalog.rescans.begin(REQUEST, "host:1:x").number
    gap = Gap(str(digest("a")), "lost", "The store does not have it.")
    catalog.rescans.add_gaps(number, [gap, gap])
    assert due(catalog, DueQuery(marks(), number=number)) == ["b"]
    assert sorted(due(catalog)) == ["a", "b"]
    assert catalog.rescans.gaps(number) == [gap]
    found = catalog.rescans.get(number)
    assert found is not None
    assert found.gaps == 1


def test_two_rescans_never_run_at_once(url: str, open_catalog: Callable[..., Catalog]) -> None:
    catalog, clock = open_catalog(url), Clock()
    catalog._changes.clock = clock
    first = catalog.rescans.begin(REQUEST, "host:1:x")
    with pytest.raises(CatalogUnavailable, match="number 1, by host:1:x"):
        catalog.rescans.begin(REQUEST, "host:2:y")
    clock.now += LEASE
    second = catalog.rescans.begin(REQUEST, "host:2:y")
    for late in (lambda: catalog.rescans.renew(first), lambda: catalog.rescans.end(first, "done")):
        with pytest.raises(ChangedMeanwhile):
            late()
    catalog.rescans.renew(second.with_blob(7))
    ended = catalog.rescans.end(second.with_blob(7), "budget")
    assert [(one.number, one.state, one.bytes_done) for one in catalog.rescans.newest()] == [
        (2, "budget", 7),
        (1, "stopped", 0),
    ]
    assert catalog.rescans.get(2) == ended
    assert [one.number for one in catalog.rescans.newest(before=2)] == [1]
    third = catalog.rescans.begin(REQUEST, "host:3:z")
    catalog.rescans.release(third.number, "host:3:z")
    assert catalog.rescans.begin(REQUEST, "host:4:z").number == 4
