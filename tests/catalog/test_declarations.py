"""Declarations, changelogs and acknowledgements on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog, ModelQuery, ModelSummary
from weighbridge.errors import ChangedMeanwhile, NotInCatalog


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
