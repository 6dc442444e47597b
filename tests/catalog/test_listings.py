"""Lists of models: filters, orders and parts, and rows that follow every change of a model."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.catalog.earlier import take_back
from tests.catalog.test_catalog import settle
from tests.catalog.values import decision, manifest
from weighbridge.catalog import Catalog, ModelQuery, ModelSummary, schema
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Verdict
from weighbridge.errors import CatalogError, ChangedMeanwhile


def add(catalog: Catalog, name: str, verdict: Verdict = "PASSED", gated: bool = False, **card: Any) -> None:
    files = replace(manifest("x" * (len(name) * 100)), gated=gated)
    fields = ModelCard({field: Field(value, "config.json") for field, value in card.items()})
    catalog.settle_version(name, "mock:x", files, fields, decision(verdict), (), lambda _: "1.0.0")


def _filled(catalog: Catalog) -> Catalog:
    llama, bert = 8_000_000_000, 110_000_000
    add(
        catalog,
        "org/Llama-3",
        architecture="llama",
        parameter_count=llama,
        licence="llama3",
        tags=["Chat", "en"],
    )
    add(catalog, "org/bert", architecture="bert", parameter_count=bert, licence="Apache-2.0", task="fill-mask")
    add(
        catalog,
        "team-a/secret",
        "FAILED",
        True,
        architecture="Llama",
        parameter_count=1,
        tags=["en"],
        description="0%_x",
    )
    add(catalog, "team_b/odd", licence="MIT", description="Größe, and\\more", tags="not a list", architecture=["x"])
    return catalog


def names(catalog: Catalog, **query: Any) -> list[str]:
    return [model.name for model in catalog.lists.models(ModelQuery(**query))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["org/Llama-3", "org/bert", "team-a/secret", "team_b/odd"]),
        ({"architecture": "LLAMA"}, ["org/Llama-3", "team-a/secret"]),
        ({"licence": "apache-2.0"}, ["org/bert"]),
        ({"task": "fill-mask"}, ["org/bert"]),
        ({"status": "FAILED"}, ["team-a/secret"]),
        ({"tags": ("EN",)}, ["org/Llama-3", "team-a/secret"]),
        ({"tags": ("en", "chat")}, ["org/Llama-3"]),
        ({"tags": ("en", "nothing")}, []),
        ({"gated": True}, ["team-a/secret"]),
        ({"gated": False, "architecture": "llama"}, ["org/Llama-3"]),
        ({"search": "ORG/"}, ["org/Llama-3", "org/bert"]),
        ({"search": "GRÖSSE, AND\\"}, ["team_b/odd"]),
        ({"search": "%"}, ["team-a/secret"]),
        ({"search": "0%_x"}, ["team-a/secret"]),
        ({"search": "\0"}, []),
        ({"min_parameters": 2}, ["org/Llama-3", "org/bert"]),
        ({"max_parameters": 8_000_000_000}, ["org/Llama-3", "org/bert", "team-a/secret"]),
        ({"max_parameters": 2**63 - 1, "min_size": 2**63 - 1}, []),
        ({"min_size": 1200, "max_size": 1302}, ["team-a/secret"]),
        ({"names": ("team-a/*",)}, ["team-a/secret"]),
        ({"names": ("team_*", "org/bert")}, ["org/bert", "team_b/odd"]),
        ({"names": ("team[_]b/?dd",)}, ["team-a/secret", "team_b/odd"][1:]),
        ({"names": ("%",)}, []),
        ({"sort": "size"}, ["org/bert", "team_b/odd", "org/Llama-3", "team-a/secret"]),
        ({"sort": "parameters", "descending": True}, ["org/Llama-3", "org/bert", "team-a/secret", "team_b/odd"]),
        ({"sort": "created", "descending": True}, ["team_b/odd", "team-a/secret", "org/bert", "org/Llama-3"]),
        ({"limit": 1, "sort": "updated"}, ["org/Llama-3"]),
    ],
)
def test_filters_and_orders(catalog: Catalog, query: dict[str, Any], expected: list[str]) -> None:
    assert sorted(names(_filled(catalog), **query)) == sorted(expected)
    if "sort" in query:
        assert names(catalog, **query) == expected


@pytest.mark.parametrize("sort", ["name", "created", "updated", "size", "parameters"])
@pytest.mark.parametrize("descending", [False, True])
def test_parts_make_the_whole_list(catalog: Catalog, sort: Any, descending: bool) -> None:
    for number in range(7):
        add(catalog, f"org/{number:02}", parameter_count=number // 3)
    query = ModelQuery(sort=sort, descending=descending)
    whole = catalog.lists.models(query)
    assert len(whole) == 7
    found: list[ModelSummary] = []
    while part := catalog.lists.models(replace(query, limit=2, after=query.key(found[-1]) if found else None)):
        found += part
    assert found == whole


def test_one_model_is_its_line_in_the_list(catalog: Catalog) -> None:
    for model in _filled(catalog).lists.models():
        assert catalog.lists.model(model.name) == model
    assert catalog.lists.model("org/nothing") is None


def test_tags_that_a_database_cannot_hold_are_one_tag(catalog: Catalog) -> None:
    add(catalog, "org/odd", tags=["a\0", "a\ufffd", "a\ud800"])
    assert names(catalog, tags=("a\ufffd",)) == ["org/odd"]


def test_whether_a_source_is_gated_is_not_known_of_old_versions(catalog: Catalog) -> None:
    add(catalog, "org/a", gated=True)
    with catalog._database.write() as connection:
        connection.execute(text("UPDATE versions SET gated = NULL"))
    catalog.set_default("org/a", None)
    assert [model.gated for model in catalog.lists.models()] == [None]
    assert names(catalog, gated=True) == names(catalog, gated=False) == []


def test_rows_follow_every_change(catalog: Catalog) -> None:
    """After any history the rows are those that a migration computes anew."""
    chance = random.Random(13)
    for step in range(120):
        name, number = f"org/{chance.randrange(3)}", f"1.{chance.randrange(4)}.0"
        change: Callable[[], Any] = chance.choice(
            [
                lambda n=name, v=number: settle(catalog, f"{n}{v}", v, chance.choice(["PASSED", "FAILED"]), n),
                lambda n=name, v=number: catalog.set_default(n, chance.choice([v, None])),
                lambda n=name, v=number: catalog.withdraw(n, v, "why"),
                lambda n=name, v=number: catalog.reinstate(n, v),
                lambda n=name, v=number: catalog.remove(n, v),
                lambda n=name, v=number: catalog.purge(n, v),
            ]
        )
        try:
            change()
        except CatalogError:
            continue
        if step % 10 == 0:
            _hold_to_versions(catalog)
    _hold_to_versions(catalog)


def _hold_to_versions(catalog: Catalog) -> None:
    for name in ("org/0", "org/1", "org/2"):
        shown, line = catalog.get(name), catalog.lists.model(name)
        if shown is None:
            assert line is None
            continue
        assert line is not None
        assert (line.version, line.default, line.status) == (shown.version, shown.default, shown.status)
        assert line.versions == len(catalog.versions(name))
        assert (line.manifest.digest, line.source, line.card) == (shown.manifest.digest, shown.source, shown.card)


def test_a_catalog_from_before_gets_the_same_rows(
    url: str, catalog: Catalog, open_catalog: Callable[..., Catalog]
) -> None:
    _filled(catalog)
    settle(catalog, "more", "1.1.0", "FAILED", "org/bert")
    settle(catalog, "gone", name="org/gone")
    catalog.remove("org/gone", "1.0.0")
    before = _rows(catalog)
    with catalog._database.write() as connection:
        take_back(connection, "0004")
    catalog.close()
    assert _rows(open_catalog(url)) == [
        [{**row, "gated": None} if "gated" in row else row for row in rows] for rows in before
    ]


def _rows(catalog: Catalog) -> list[list[dict[str, Any]]]:
    with catalog._database.read() as connection:
        return [
            [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in (schema.listings, schema.listing_tags)
        ]


def test_changes_side_by_side_leave_the_right_row(catalog: Catalog) -> None:
    numbers = [f"1.{number}.0" for number in range(6)]
    for number in numbers:
        settle(catalog, number, number)
    threads = [
        threading.Thread(target=catalog.withdraw, args=("org/name", number, "recalled")) for number in numbers[1:]
    ]
    threads += [threading.Thread(target=settle, args=(catalog, number, number)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = catalog.lists.model("org/name")
    assert line is not None
    assert (line.version, line.default, line.status) == ("1.0.0", True, "PASSED")


def test_of_two_changes_that_rest_on_the_same_reading_one_is_refused(catalog: Catalog) -> None:
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        settle(catalog, number, number)
    read = catalog.lists.model("org/name")
    refused: list[str] = []

    def change(number: str) -> None:
        def check(model: ModelSummary) -> None:
            if model != read:
                raise ChangedMeanwhile("It was changed.")

        try:
            catalog.set_default("org/name", number, check)
        except ChangedMeanwhile:
            refused.append(number)

    threads = [threading.Thread(target=change, args=(number,)) for number in ("1.0.0", "1.1.0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = catalog.lists.model("org/name")
    assert line is not None
    assert {line.version, *refused} == {"1.0.0", "1.1.0"}
    assert len(refused) == 1
