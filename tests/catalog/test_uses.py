"""Uses of versions: counted in batches, and what the mirror alone took in is told from what somebody asked for."""

from __future__ import annotations

from datetime import timedelta

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog, UsedVersion, VersionUse


def attempt(catalog: Catalog, cause: str = "", name: str = "org/name", version: str = "1.0.0") -> None:
    id_ = catalog.begin_ingest(name, f"hf:{name}", cause=cause)  # type: ignore[arg-type]
    catalog.update_ingest(id_, "PASSED", version=version)


def only(catalog: Catalog) -> UsedVersion:
    (found,) = catalog.uses.versions()
    return found


def test_requests_are_added_and_the_last_one_counts(catalog: Catalog) -> None:
    settle(catalog)
    never = only(catalog)
    assert (never.requests, never.used_at, never.last_use) == (0, None, never.taken_in_at)
    later = never.taken_in_at + timedelta(days=3)
    head = catalog.audit.head()
    catalog.uses.add([VersionUse("org/name", "1.0.0", 5, later), VersionUse("org/gone", "1.0.0", 1, later)])
    catalog.uses.add([VersionUse("org/name", "1.0.0", 2, later - timedelta(days=1))])  # Another process writes later.
    assert (only(catalog).requests, only(catalog).last_use) == (7, later)
    assert catalog.audit.head() == head, "a use changes nothing that anybody decided"


def test_what_somebody_asked_for_is_not_the_mirrors(catalog: Catalog) -> None:
    settle(catalog)
    assert not only(catalog).mirrored, "a catalog from before knows no cause"
    attempt(catalog, "mirror")
    assert only(catalog).mirrored
    attempt(catalog, "rescan")
    assert only(catalog).mirrored, "another scan asks for nothing"
    attempt(catalog, name="org/other")
    assert only(catalog).mirrored, "another model was asked for"
    attempt(catalog, version="1.0.1")
    assert not only(catalog).mirrored, "the mirror may have followed the branch of a model that somebody took in"


def test_what_comes_again_is_as_young_as_its_newest_arrival(catalog: Catalog) -> None:
    """Harbor's proxied artifacts had no time of a pull, and went on the next day (goharbor/harbor#13152)."""
    settle(catalog)
    attempt(catalog, "mirror")
    first = only(catalog).taken_in_at
    catalog.remove("org/name", "1.0.0", "evicted")
    assert catalog.uses.versions() == []
    settle(catalog)
    attempt(catalog, "mirror")
    assert only(catalog).last_use > first


def test_a_fixed_default_and_files_are_known(catalog: Catalog) -> None:
    settle(catalog)
    assert not only(catalog).fixed
    catalog.set_default("org/name", "1.0.0")
    assert only(catalog).fixed
    assert set(catalog.uses.files()) == {only(catalog).manifest}
    catalog.withdraw("org/name", "1.0.0", "")
    catalog.purge("org/name", "1.0.0")
    assert only(catalog).purged
    assert catalog.uses.files() == {}
