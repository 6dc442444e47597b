"""Declarations, changelogs and acknowledgements on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog, ModelQuery, ModelSummary, schema
from weighbridge.errors import ChangedMeanwhile, NotInCatalog, StateConflict
from weighbridge.intake.declaring import declare, keep


def test_a_declaration_is_kept_beside_the_card_and_in_the_audit_log(catalog: Catalog) -> None:
    settle(catalog)
    assert catalog.declarations.of("org/name") is None
    mine = catalog.acting("key:ci").declarations
    mine.change("org/name", {"context_length": 8192, "tags": ["Chat"]})
    found = catalog.declarations.of("org/name")
    assert found is not None
    assert (found.content, found.by) == ({"context_length": 8192, "tags": ["Chat"]}, "key:ci")
    mine.change("org/name", {"tags": None})
    mine.change("org/name", {"context_length": 8192})  # It is declared already.
    assert mine.change("org/name", {"context_length": None}) is None
    rows = catalog.audit.rows(action="model.declared")
    assert [(row.object, row.before, row.after) for row in rows] == [
        ("org/name", None, {"context_length": 8192, "tags": ["Chat"]}),
        ("org/name", {"context_length": 8192, "tags": ["Chat"]}, {"context_length": 8192}),
        ("org/name", {"context_length": 8192}, None),
    ]
    with pytest.raises(NotInCatalog):
        mine.change("other", {"tags": ["a"]})


def test_lists_find_what_was_declared_where_files_say_nothing(catalog: Catalog) -> None:
    settle(catalog)
    content = {"architecture": "bert", "license_type": "Llama-3.1-Community", "tags": ["Chat"], "description": "Ours."}
    catalog.declarations.change("org/name", content)

    def listed(**query: object) -> list[str]:
        return [model.name for model in catalog.lists.models(ModelQuery(**query))]  # type: ignore[arg-type]

    for query in (
        {"licence": "llama3.1"},
        {"licence": "llama-3.1-community"},
        {"tags": ("chat",)},
        {"search": "ours"},
        {"architecture": "llama"},
    ):
        assert listed(**query) == ["org/name"], query
    assert listed(architecture="bert") == [], "the files say llama"
    catalog.declarations.change("org/name", {"tags": None, "license_type": None})
    assert listed(tags=("chat",)) == listed(licence="llama3.1") == []


def test_a_declaration_outlives_new_versions(catalog: Catalog) -> None:
    settle(catalog)
    catalog.declarations.change("org/name", {"tags": ["chat"]})
    settle(catalog, "more weights", "1.1.0")
    (model,) = catalog.lists.models(ModelQuery(tags=("chat",)))
    assert (model.version, model.described.get("tags")) == ("1.1.0", ["chat"])


def test_of_two_changes_of_one_state_the_second_is_refused(catalog: Catalog) -> None:
    settle(catalog)
    barrier, ends = threading.Barrier(2), []

    def check(model: ModelSummary) -> None:
        if model.declared is not None:
            raise ChangedMeanwhile("It changed.")

    def change(number: int) -> None:
        barrier.wait()
        try:
            catalog.declarations.change("org/name", {"parameter_count": number}, check)
            ends.append("changed")
        except ChangedMeanwhile:
            ends.append("refused")

    threads = [threading.Thread(target=change, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["changed", "refused"]


def test_a_changelog_is_its_versions(catalog: Catalog) -> None:
    settle(catalog)
    settle(catalog, "b", "1.1.0")
    for text in ("Tuned.", "Tuned.", "Tuned again."):
        catalog.declarations.set_changelog("org/name", "1.1.0", text)
    assert catalog.declarations.changelog("org/name", "1.1.0") == "Tuned again."
    assert catalog.declarations.changelog("org/name", "1.0.0") == ""
    assert len(catalog.audit.rows(action="version.described")) == 2
    with pytest.raises(NotInCatalog):
        catalog.declarations.set_changelog("org/name", "9.0.0", "x")


def test_acknowledgements_are_kept_and_listed(catalog: Catalog) -> None:
    settle(catalog)
    for actor, person in (("key:a", "Ada"), ("key:b", "Bo\0b")):
        catalog.acting(actor).acknowledgements.add("org/name", "1.0.0", "llama3.1", {"LICENSE": "a" * 64}, person)
    found = catalog.acknowledgements.of("org/name")
    assert [(one.person, one.actor, one.version) for one in found] == [
        ("Bo\ufffdb", "key:b", "1.0.0"),
        ("Ada", "key:a", "1.0.0"),
    ]
    assert found[1].texts == {"LICENSE": "a" * 64}
    assert catalog.acknowledgements.of("org/name", actor="key:a") == found[1:]
    assert catalog.acknowledgements.of("org/name", before=found[0].id, limit=1) == found[1:]
    assert catalog.acknowledgements.of("other") == []
    with pytest.raises(StateConflict, match="You have sent 1"):
        catalog.acting("key:a").acknowledgements.add("org/name", "1.0.0", "llama3.1", {}, "Cy", most=1)
    catalog.acting("key:c").acknowledgements.add("org/name", "1.0.0", "llama3.1", {}, "Cy", most=1)
    with pytest.raises(NotInCatalog):
        catalog.acknowledgements.add("org/name", "9.0.0", "", {}, "Ada")


def test_hostile_words_fit(catalog: Catalog) -> None:
    settle(catalog)
    words = "\0 \ud800 ½ \u202e"
    content = {"tags": [words, "\0", "\ufffd"], "license_type": words, "requirements": {words: [words]}}
    catalog.declarations.change("org/name", content)
    catalog.declarations.set_changelog("org/name", "1.0.0", words)
    found = catalog.declarations.of("org/name")
    assert found is not None
    assert found.content == content
    assert catalog.lists.model("org/name") is not None
    assert catalog.audit.prove().flaws == ()


def test_what_was_said_later_stays_field_by_field(catalog: Catalog) -> None:
    settle(catalog)
    order, later_order = moment(catalog) - timedelta(hours=2), moment(catalog) - timedelta(hours=1)
    said = catalog.declarations
    said.change("org/name", {"context_length": 1, "tags": ["b"]}, said_at=later_order)
    said.change("org/name", {"context_length": 2, "tags": ["a"], "description": "First."}, said_at=order)
    assert content(catalog) == {"context_length": 1, "tags": ["b"], "description": "First."}
    said.change("org/name", {"description": "First."})  # Nothing changes, but it is said anew.
    said.change("org/name", {"tags": None})
    said.change("org/name", {"description": "Other.", "tags": ["c"], "context_length": 3}, said_at=later_order)
    assert content(catalog) == {"description": "First.", "context_length": 3}
    said.change("org/name", {"description": None, "context_length": None})
    assert said.of("org/name") is None
    assert said.change("org/name", {"description": "Other.", "architecture": "llama"}, said_at=order) is not None
    assert content(catalog) == {"architecture": "llama"}, "taking something back is a statement, too"
    assert catalog.audit.prove().flaws == ()


def test_what_was_declared_before_times_were_kept_was_said_when_it_changed(catalog: Catalog) -> None:
    settle(catalog)
    catalog.declarations.change("org/name", {"tags": ["a"]})
    with catalog._database.write() as connection:
        connection.execute(schema.declarations.update().values(said_at=None))
    catalog.declarations.change("org/name", {"tags": ["b"]}, said_at=moment(catalog) - timedelta(hours=1))
    assert content(catalog) == {"tags": ["a"]}


def test_of_two_changelogs_the_one_that_was_said_later_stays(catalog: Catalog) -> None:
    settle(catalog)
    for text, hours in (("Second.", 1), ("First.", 2)):
        said_at = moment(catalog) - timedelta(hours=hours)
        catalog.declarations.set_changelog("org/name", "1.0.0", text, said_at=said_at)
    assert catalog.declarations.changelog("org/name", "1.0.0") == "Second."


def test_the_end_of_an_order_and_a_later_word_in_any_order(catalog: Catalog) -> None:
    """A person corrects the declaration while the order's ingest ends."""
    order = {"context_length": 1, "tags": ["ordered"], "description": "Ordered."}
    for number in range(8):
        version, ordered_at = settle(catalog, name=f"org/{number}"), moment(catalog)
        together = threading.Barrier(2)
        ends = (
            partial(keep, catalog.acting("key:order"), version, order, ordered_at),
            partial(declare, catalog.acting("key:ada"), version.name, {"tags": ["corrected"], "description": None}),
        )
        with ThreadPoolExecutor(2) as pool:
            for ended in [pool.submit(lambda end, barrier: (barrier.wait(), end()), end, together) for end in ends]:
                ended.result()
        assert content(catalog, version.name) == {"context_length": 1, "tags": ["corrected"]}


def test_an_order_hears_what_was_said_since(catalog: Catalog) -> None:
    version, ordered_at = settle(catalog), moment(catalog)
    declare(catalog, "org/name", {"tags": ["corrected"]})
    assert keep(catalog, version, {"tags": ["ordered"], "description": "Ours."}, ordered_at) == (
        "tags: somebody declared it anew after this order, and that stays.",
    )


def content(catalog: Catalog, name: str = "org/name") -> object:
    found = catalog.declarations.of(name)
    return found.content if found is not None else None


def moment(catalog: Catalog) -> datetime:
    return catalog._changes.clock()
