"""What was made of the catalog is kept until the catalog changes, and never more than a limit allows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import weighbridge.catalog
from tests.catalog.test_audit import CHANGES
from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog
from weighbridge.catalog.kept import Kept
from weighbridge.domain.audit import EMPTY, Head

NEWER, NEWEST = Head(1, "a" * 64), Head(2, "b" * 64)
#: What writes without a row of the audit log, by module; no value that is kept may depend on it.
WITHOUT_A_ROW = {
    "branches": {"begin", "learned", "_end"},
    "changes": {"begin"},  # This writes the rows.
    "database": {"upgrade"},
    "deliveries": {"take", "forget"},
    "hub_announcements": {"note_told"},  # The others write rows.
    # These are other tables, of which nothing of the catalog is made.
    "hub_models": {"add_page", "begin", "finish", "release", "remember", "remember_access", "renew"},
    "job_queue": {"renew", "give_back"},
    "keys": {"note_use"},
    "transits": {"describe", "forget", "hand_on", "use", "weighed_by"},
    "uses": {"add"},
}


def test_a_value_is_kept_until_the_catalog_changes() -> None:
    kept = Kept[str, str](10)
    assert kept.get(NEWER, "a") is None
    kept.put(NEWER, "a", "one")
    assert [kept.get(NEWER, "a"), kept.get(NEWER, "b")] == ["one", None]
    assert kept.get(NEWEST, "a") is None
    assert kept.get(NEWER, "a") is None, "a catalog that was brought back from a backup is another one"


def test_a_log_with_the_same_number_of_rows_is_another_one() -> None:
    kept = Kept[str, str](10)
    kept.get(NEWER, "a")
    kept.put(NEWER, "a", "one")
    assert kept.get(Head(NEWER.number, "c" * 64), "a") is None


def test_what_was_made_before_a_change_is_not_kept_after_it() -> None:
    kept = Kept[str, str](10)
    assert kept.get(NEWER, "a") is None
    assert kept.get(NEWEST, "a") is None
    kept.put(NEWER, "a", "old")
    assert kept.get(NEWEST, "a") is None


def test_what_was_used_the_longest_time_ago_is_forgotten_first() -> None:
    kept = Kept[str, str](10)
    for key in ("a", "b"):
        kept.get(EMPTY, key)
        kept.put(EMPTY, key, key, 5)
    assert kept.get(EMPTY, "a") == "a"
    kept.put(EMPTY, "c", "c", 5)
    assert [kept.get(EMPTY, key) for key in "abc"] == ["a", None, "c"]
    kept.put(EMPTY, "d", "d", 11)
    assert [kept.get(EMPTY, key) for key in "acd"] == ["a", "c", None]
    for _ in range(3):
        kept.put(EMPTY, "a", "again", 5)
    assert [kept.get(EMPTY, key) for key in "ac"] == ["a", "c"]


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_moves_the_head_so_that_nothing_from_before_it_is_given_out(catalog: Catalog, name: str) -> None:
    settle(catalog)
    before = catalog.audit.head()
    CHANGES[name][0](catalog)
    assert catalog.audit.head() != before


def test_what_writes_without_a_row_is_in_the_table_above() -> None:
    found: dict[str, set[str]] = {}
    for path in Path(weighbridge.catalog.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and ".write()" in ast.unparse(node):
                found.setdefault(path.stem, set()).add(node.name)
    assert found == WITHOUT_A_ROW
