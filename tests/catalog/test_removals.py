"""Versions that were removed or purged, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.catalog.earlier import take_back
from tests.catalog.test_catalog import settle
from tests.catalog.values import CARD, decision, digest, manifest, report
from weighbridge.catalog import Catalog
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.errors import CatalogError, StateConflict

#: `values.manifest` has this file beside the one with the content.
CONFIG = digest("{}")


def test_a_removed_version_is_seen_nowhere(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    settle(catalog, "b", "1.1.0")
    catalog.remove("org/name", "1.1.0")
    assert catalog.get("org/name", "1.1.0") is None
    assert [version.version for version in catalog.versions("org/name")] == ["1.0.0"]
    default = catalog.get("org/name")
    assert default is not None
    assert (default.version, default.default) == ("1.0.0", True)
    assert [(model.version, model.versions) for model in catalog.lists.models()] == [("1.0.0", 1)]
    catalog.remove("org/name", "1.1.0")
    catalog.remove("org/name", "1.0.0")
    assert catalog.lists.models() == []
    for change in (
        lambda: catalog.withdraw("org/name", "1.0.0", "x"),
        lambda: catalog.set_default("org/name", "1.0.0"),
        lambda: catalog.reinstate("org/name", "1.0.0"),
        lambda: catalog.purge("org/name", "1.0.0"),
        lambda: catalog.remove("org/name", "9.0.0"),
    ):
        with pytest.raises(CatalogError, match="knows no"):
            change()


def test_what_was_purged_is_not_given_out_again_whoever_is_faster(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    catalog.withdraw("org/name", "1.0.0", "recalled")
    catalog.purge("org/name", "1.0.0")
    with pytest.raises(StateConflict, match="so that it cannot be given out again"):
        catalog.reinstate("org/name", "1.0.0")
    assert catalog.state("org/name", "1.0.0") == ("FAILED", False)
    settle(catalog, "b", "1.1.0")
    catalog.withdraw("org/name", "1.1.0", "recalled")
    catalog.reinstate("org/name", "1.1.0")
    with pytest.raises(StateConflict, match="is PASSED"):
        catalog.purge("org/name", "1.1.0")


def test_its_number_is_never_that_of_other_files(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    catalog.remove("org/name", "1.0.0")
    asked: list[str] = []

    def choose(previous: ModelVersion | None) -> str:
        asked.append(previous.version if previous else "")
        return "1.1.0"

    reports = (report("b"),)
    one = settle(catalog, "a", "7.7.7")
    assert one.version == "1.0.0"
    catalog.remove("org/name", "1.0.0")
    catalog.settle_version("org/name", "mock:x", manifest("b"), CARD, decision("PASSED", reports), reports, choose)
    assert asked == ["1.0.0"]
    with pytest.raises(CatalogError, match="choose another number"):
        settle(catalog, "c", "1.0.0")


def test_the_same_files_are_that_version_again(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    catalog.remove("org/name", "1.0.0")
    again = settle(catalog, "a", "2.0.0")
    assert (again.version, again.status, again.default) == ("1.0.0", "PASSED", True)
    catalog.withdraw("org/name", "1.0.0", "recalled")
    catalog.remove("org/name", "1.0.0")
    assert settle(catalog, "a", "2.0.0").status == "FAILED", "removing is no way around a withdrawal"


def test_a_fixed_default_that_is_removed_is_fixed_no_longer(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    settle(catalog, "b", "1.1.0")
    catalog.set_default("org/name", "1.0.0")
    catalog.remove("org/name", "1.0.0")
    default = catalog.get("org/name")
    assert default is not None
    assert (default.version, default.default) == ("1.1.0", True)


def test_an_upload_of_a_removed_version_does_not_become_visible(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    assert catalog.places.begin_upload("org/name", "1.0.0", "export", "/there")
    catalog.remove("org/name", "1.0.0")
    assert not catalog.places.add("org/name", "1.0.0", Publication("export", "/there/1", (), "/there"))
    assert not catalog.places.begin_upload("org/name", "1.0.0", "export", "/there")
    assert [place.address for place in catalog.places.of("org/name", "1.0.0")] == ["/there"]
    catalog.places.remove("org/name", "1.0.0", "export", "/there")
    assert catalog.places.of("org/name", "1.0.0") == []


def test_which_blobs_are_needed(catalog: Catalog) -> None:
    assert catalog.blank
    assert catalog.needed() == set()
    settle(catalog, "a", "1.0.0")
    settle(catalog, "b", "1.1.0", "FAILED")
    settle(catalog, "c", "1.0.0", name="other")
    assert not catalog.blank
    assert catalog.needed() == {CONFIG, digest("a"), digest("b"), digest("c")}
    catalog.purge("org/name", "1.1.0")
    assert catalog.needed() == {CONFIG, digest("a"), digest("c")}
    catalog.remove("other", "1.0.0")
    catalog.remove("org/name", "1.0.0")
    assert catalog.needed() == set()
    assert not catalog.blank
    settle(catalog, "b", "1.1.0", "FAILED")
    assert catalog.needed() == {CONFIG, digest("b")}, "what was purged and taken in again is whole again"


def test_only_what_failed_is_purged_and_its_verdict_stays(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    settle(catalog, "b", "1.1.0", "FAILED")
    with pytest.raises(CatalogError, match="weighbridge rm"):
        catalog.purge("org/name", "1.0.0")
    catalog.purge("org/name", "1.1.0")
    purged = catalog.get("org/name", "1.1.0")
    assert purged is not None
    assert (purged.purged, purged.status) == (True, "FAILED")
    assert purged.reports == (report("b"),)


def test_the_history_of_a_model_is_its_own(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0", name="org_name")
    settle(catalog, "a", "1.0.0")
    settle(catalog, "a", "1.0.0", name="org/name-2")
    catalog.set_default("org/name", None)
    catalog.remove("org/name", "1.0.0")
    kinds = [(row.action, row.object) for row in catalog.audit.of_model("org/name")]
    assert kinds == [
        ("version.settled", "org/name@1.0.0"),
        ("model.default", "org/name"),
        ("version.removed", "org/name@1.0.0"),
    ]
    assert [row.object for row in catalog.audit.of_model("org_name")] == ["org_name@1.0.0"]


def test_a_report_by_its_id(catalog: Catalog) -> None:
    settle(catalog, "a", "1.0.0")
    assert catalog.report(report("a").id) == report("a")
    assert catalog.report("nothing") is None


def test_a_catalog_from_before_loses_nothing(url: str, catalog: Catalog, open_catalog: Callable[..., Catalog]) -> None:
    settle(catalog, "a", "1.0.0")
    with catalog._database.write() as connection:
        take_back(connection, "0003")
    catalog.close()
    again = open_catalog(url)
    assert [model.version for model in again.lists.models()] == ["1.0.0"]
    again.remove("org/name", "1.0.0")
    assert again.lists.models() == []
