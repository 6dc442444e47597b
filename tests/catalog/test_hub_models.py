"""The local catalogue of the Hub on SQLite and on PostgreSQL: what is stored, its history, its passes, its leases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from tests.catalog.hub_values import NOON, hub_model
from weighbridge.catalog import Catalog
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.catalog.hub_passes import LEASE, MOST_AGE
from weighbridge.catalog.hub_tables import HEAD, SCHEMA, metadata
from weighbridge.domain.hub_models import Gated, HubChange, HubField, HubModel, HubPass, HubQuery, PassKind
from weighbridge.errors import CatalogError, CatalogUnavailable, ChangedMeanwhile

FULL, RECENT, PARTIAL = PassKind
DAY = timedelta(days=1)
EVER = datetime(1, 1, 1, tzinfo=UTC)


def refresh(hub: HubCatalog, models: list[HubModel], at: datetime, kind: PassKind = FULL) -> HubPass:
    begun = hub.begin(kind, "", "here", at)
    for first in range(0, len(models), 1000):
        hub.add_page(begun.number, "here", models[first : first + 1000], "", at)
    return hub.finish(begun.number, "here", at)


def history(hub: HubCatalog) -> list[tuple[str, str, str, str]]:
    return [(one.id, str(one.field), one.before, one.after) for _, one in hub.changes(EVER)]


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_the_schema_that_the_code_has(hub_url: str, hub: HubCatalog) -> None:
    engine = create_engine(hub_url.replace("catalog.db", "hub.db"))
    with engine.connect() as connection:
        options = {
            "compare_type": True,
            "version_table": SCHEMA.version_table,
            "compare_server_default": True,
            "include_name": lambda name, kind, _parents: kind != "table" or name in metadata.tables,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert context.get_current_revision() == HEAD
        differences = compare_metadata(context, metadata)
    engine.dispose()
    # Alembic cannot compare what indexes say of expressions, and those of PostgreSQL alone are in the migration.
    kinds = {str(one[0] if isinstance(one, tuple) else one[0][0]) for one in differences}
    assert kinds <= {"modify_comment", "add_index", "remove_index", "add_constraint", "remove_constraint"}


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCHEMA.migrations))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_both_catalogs_live_side_by_side(hub_url: str, hub: HubCatalog) -> None:
    with Catalog.open(hub_url, lambda: NOON) as catalog:
        catalog.begin_ingest("m", "mock:m")
    refresh(hub, [hub_model(1)], NOON)
    with HubCatalog.open(hub_url) as again, Catalog.open(hub_url, lambda: NOON) as catalog:
        assert again.find(hub_model(1).id) is not None
        assert again.identity == hub.identity
        assert len(catalog.ingests()) == 1


def test_sqlite_has_a_file_of_its_own_beside_the_catalog(tmp_path: Path) -> None:
    HubCatalog.open(f"sqlite:///{tmp_path}/state/other.db").close()
    assert [path.name for path in (tmp_path / "state").glob("*.db")] == ["hub.db"]


def test_a_catalogue_of_a_newer_weighbridge_is_left_alone(url: str) -> None:
    HubCatalog.open(url).close()
    engine = create_engine(url.replace("catalog.db", "hub.db"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE hub_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(CatalogError, match="newer Weighbridge"):
        HubCatalog.open(url)


ODD = HubModel(
    "gpt2",
    "not hexadecimal",
    "short",
    Gated.UNKNOWN,
    True,
    tags=("ünïcode 🙂", "quotes \"'", "%_", "tab\there", "license:other", "base_model:a/b", "base_model:merge:c/d"),
    base_models=("quite/another",),
    licence="other",
    parameters=2**62,
    parameters_from="name",
)


@pytest.mark.parametrize("model", [hub_model(3), hub_model(4), ODD, HubModel("a/b"), HubModel("ü/🙂")])
def test_a_model_comes_back_as_it_was_listed(hub: HubCatalog, model: HubModel) -> None:
    refresh(hub, [model, hub_model(7)], NOON)
    entry = hub.find(model.id.upper() if model.id.isascii() else model.id)
    assert entry is not None
    assert (entry.model, entry.seen_at, entry.vanished_at) == (model, NOON, None)
    assert hub.find("no/where") is None


def test_what_no_database_stores_is_replaced(hub: HubCatalog) -> None:
    refresh(hub, [HubModel("a/\0\ud800", tags=("\0", "x" * 100_000, ""))], NOON)
    entry = hub.find("a/\0\ud800")
    assert entry is not None
    assert entry.model.id == "a/\ufffd\ufffd"
    assert [len(tag) for tag in entry.model.tags] == [1, 500]


def test_pages_count_and_say_where_the_pass_goes_on(hub: HubCatalog) -> None:
    begun = hub.begin(FULL, "", "here", NOON)
    assert (begun.kind, begun.pages, begun.cursor, begun.ended_at) == (FULL, 0, "", None)
    models = [hub_model(place) for place in range(20)]
    hub.add_page(begun.number, "here", models[:10], "https://hub.example/?cursor=1", NOON)
    page, changes = hub.add_page(begun.number, "here", models[8:], "", NOON)
    assert (page.pages, page.models, page.added, page.last_created_at) == (2, 22, 20, models[-1].created_at)
    assert changes == ()
    state = hub.state()
    assert (state.models, state.vanished, state.running, state.full) == (20, 0, page, None)
    assert state.size is not None
    ended = hub.finish(begun.number, "here", NOON + DAY)
    assert ended == replace(page, ended_at=NOON + DAY)
    assert (hub.state().full, hub.state().running, hub.state().as_of) == (ended, None, NOON)


CHANGES = {
    "gated": ({"gated": Gated.MANUAL}, [("gated", "no", "manual")]),
    "licence": ({"licence": "other", "tags": ("license:other",)}, [("licence", "mit", "other")]),
    "no licence": ({"licence": "", "tags": ("region:us",)}, [("licence", "mit", "")]),
    "disabled": ({"disabled": True}, [("disabled", "no", "yes")]),
    "owner": ({"id": "new/name"}, [("owner", "old/name", "new/name")]),
    "name in another case": ({"id": "Old/Name"}, []),
    "twice the downloads": ({"downloads": 4000}, [("downloads", "2000", "4000")]),
    "half of the downloads": ({"downloads": 1000}, [("downloads", "2000", "1000")]),
    "a few more downloads": ({"downloads": 3999}, []),
    "all at once": (
        {"id": "new/name", "gated": Gated.AUTO, "licence": "x"},
        [("gated", "no", "auto"), ("licence", "mit", "x"), ("owner", "old/name", "new/name")],
    ),
    "what was not said": (
        {"gated": Gated.UNKNOWN, "downloads": None, "tags": (), "licence": "", "parameters": None, "object_id": ""},
        [],
    ),
}
BEFORE = HubModel(
    "old/name", f"{5:024x}", f"{6:040x}", Gated.NO, downloads=2000, licence="mit", tags=("license:mit",), parameters=7
)


@pytest.mark.parametrize("case", CHANGES)
def test_the_history_has_what_changed(hub: HubCatalog, case: str) -> None:
    values, expected = CHANGES[case]
    refresh(hub, [BEFORE], NOON)
    assert history(hub) == []
    after = replace(BEFORE, **values)
    begun = hub.begin(FULL, "", "here", NOON + DAY)
    _, changes = hub.add_page(begun.number, "here", [after], "", NOON + DAY)
    hub.finish(begun.number, "here", NOON + DAY)
    assert [(one.field, one.before, one.after) for one in changes] == expected
    assert history(hub) == [(after.id, *change) for change in expected]
    entry = hub.find(after.id)
    assert entry is not None
    assert entry.model == (BEFORE if case == "what was not said" else after)
    assert (hub.state().models, hub.state().vanished) == (1, 0)
    assert [one.model for one in hub.search(HubQuery(search="name")).entries] == [entry.model]
    if after.id == "new/name":
        assert hub.find("old/name") is None


def test_downloads_that_grow_slowly_are_noted_once_they_have_doubled(hub: HubCatalog) -> None:
    for night, count in enumerate((10, 900, 1200, 1900, 2300, 2400, 2401)):
        refresh(hub, [replace(BEFORE, downloads=count)], NOON + night * DAY)
    assert [change[2:] for change in history(hub)] == [("10", "1200"), ("1200", "2400")]


def test_models_that_swap_their_names(hub: HubCatalog) -> None:
    one, other = hub_model(1), hub_model(2)
    refresh(hub, [one, other], NOON)
    swapped = [replace(one, id=other.id), replace(other, id=one.id)]
    refresh(hub, swapped, NOON + DAY)
    assert [hub.find(model.id).model for model in swapped] == swapped  # type: ignore[union-attr]
    assert {change[1] for change in history(hub)} >= {"owner"}
    assert (hub.state().models, hub.state().vanished) == (2, 0)


def test_another_model_under_the_name_of_one_that_was_deleted(hub: HubCatalog) -> None:
    refresh(hub, [BEFORE], NOON)
    fresh = HubModel(BEFORE.id, f"{99:024x}", gated=Gated.NO, tags=("license:mit",), licence="mit")
    refresh(hub, [fresh], NOON + DAY)
    entry = hub.find(BEFORE.id)
    assert entry is not None
    assert entry.model == fresh


def test_a_full_pass_marks_what_it_did_not_see_and_knows_it_again(hub: HubCatalog) -> None:
    models = [hub_model(place) for place in range(6)]
    refresh(hub, models, NOON)
    refresh(hub, models[:2], NOON + DAY, RECENT)
    assert hub.state().vanished == 0
    ended = refresh(hub, models[:4], NOON + DAY)
    assert (ended.vanished, hub.state().models, hub.state().vanished) == (2, 4, 2)
    gone = hub.find(models[5].id)
    assert gone is not None
    assert (gone.vanished_at, gone.seen_at) == (NOON + DAY, NOON)
    assert len(hub.search(HubQuery(limit=100)).entries) == 4
    assert len(hub.search(HubQuery(limit=100, include_vanished=True)).entries) == 6
    assert refresh(hub, models[:4], NOON + 2 * DAY).vanished == 0
    refresh(hub, models, NOON + 3 * DAY)
    assert (hub.state().models, hub.state().vanished) == (6, 0)
    assert [change[1:] for change in history(hub)] == [("listed", "yes", "no")] * 2 + [("listed", "no", "yes")] * 2


def test_a_list_that_lacks_most_models_was_not_whole(hub: HubCatalog) -> None:
    refresh(hub, [hub_model(place) for place in range(1000)], NOON)
    with pytest.raises(CatalogError, match="cannot have been whole"):
        refresh(hub, [hub_model(1)], NOON + DAY)
    assert (hub.state().models, hub.state().vanished) == (1000, 0)


def test_an_older_say_never_overwrites_a_newer_one(hub: HubCatalog) -> None:
    new, old = replace(BEFORE, gated=Gated.MANUAL, downloads=5), replace(BEFORE, gated=Gated.NO, downloads=1)
    full = hub.begin(FULL, "", "here", NOON)
    assert hub.remember([new], NOON + DAY) == ()
    page, changes = hub.add_page(full.number, "here", [old], "", NOON)
    assert (page.models, page.added, changes) == (1, 0, ())
    assert hub.finish(full.number, "here", NOON + DAY).vanished == 0
    entry = hub.find(BEFORE.id)
    assert entry is not None
    assert (entry.model, entry.seen_at) == (new, NOON + DAY)


def test_what_a_page_says_twice_counts_once(hub: HubCatalog) -> None:
    later = replace(BEFORE, id="OLD/name", downloads=3)
    renamed = replace(hub_model(1), id="x/y")
    refresh(hub, [BEFORE, hub_model(1), later, renamed, HubModel("")], NOON)
    assert hub.state().models == 2
    assert [hub.find(one).model for one in ("old/name", "x/y")] == [later, renamed]  # type: ignore[union-attr]


def test_a_living_process_keeps_its_pass(hub: HubCatalog) -> None:
    begun = hub.begin(FULL, "", "one", NOON)
    with pytest.raises(CatalogUnavailable, match="one") as caught:
        hub.begin(FULL, "", "other", NOON + LEASE / 2)
    assert caught.value.retryable
    assert hub.begin(PARTIAL, "text-generation 100", "other", NOON).number != begun.number
    hub.renew(begun.number, "one", NOON + LEASE)
    with pytest.raises(CatalogUnavailable):
        hub.begin(FULL, "", "other", NOON + 1.5 * LEASE)


def test_a_pass_goes_on_elsewhere_once_its_process_is_silent(hub_url: str, hub: HubCatalog) -> None:
    begun = hub.begin(FULL, "", "one", NOON)
    page, _ = hub.add_page(begun.number, "one", [hub_model(1)], "next", NOON)
    with HubCatalog.open(hub_url) as elsewhere:
        assert elsewhere.begin(FULL, "", "other", NOON + LEASE) == page
        elsewhere.add_page(begun.number, "other", [hub_model(2)], "", NOON + LEASE)
    for attempt in (
        lambda: hub.add_page(begun.number, "one", [hub_model(3)], "lost", NOON + LEASE),
        lambda: hub.finish(begun.number, "one", NOON + LEASE),
        lambda: hub.renew(begun.number, "one", NOON + LEASE),
    ):
        with pytest.raises(ChangedMeanwhile, match="another process"):
            attempt()
    assert hub.find(hub_model(3).id) is None
    hub.release(begun.number, "one")
    assert hub.finish(begun.number, "other", NOON + LEASE).pages == 2


def test_a_pass_that_was_given_back_goes_on_at_once(hub: HubCatalog) -> None:
    begun = hub.begin(FULL, "", "one", NOON)
    hub.release(begun.number, "one")
    assert hub.begin(FULL, "", "other", NOON) == begun
    with pytest.raises(CatalogError, match="no refresh number 99"):
        hub.finish(99, "other", NOON)


def test_a_pass_that_was_left_long_ago_begins_anew(hub: HubCatalog) -> None:
    begun = hub.begin(FULL, "", "one", NOON)
    later = hub.begin(FULL, "", "other", NOON + MOST_AGE)
    assert later.number != begun.number
    assert hub.state().running == later
    with pytest.raises(ChangedMeanwhile):
        hub.add_page(begun.number, "one", [], "", NOON + MOST_AGE)


def test_changes_are_read_in_parts(hub: HubCatalog) -> None:
    models = [hub_model(place) for place in range(10)]
    refresh(hub, models, NOON)
    refresh(hub, [replace(model, gated=Gated.YES, disabled=not model.disabled) for model in models], NOON + DAY)
    read: list[tuple[int, HubChange]] = []
    while part := hub.changes(EVER, limit=3, after=read[-1][0] if read else 0):
        read += part
    assert [number for number, _ in read] == sorted({number for number, _ in read})
    assert len(read) == 20
    assert hub.changes(NOON + 2 * DAY) == []
    assert len(hub.changes(EVER, fields=[HubField.GATED])) == 10
    only = hub.changes(EVER, ids=[models[4].id.upper()])
    assert {change.id for _, change in only} == {models[4].id}
    assert len(only) == 2


def test_access_is_remembered_with_its_time(hub: HubCatalog) -> None:
    assert hub.access("Org/Name", "hash") is None
    hub.remember_access("org/name", "hash", False, NOON)
    hub.remember_access("ORG/name", "hash", True, NOON + DAY)
    assert hub.access("Org/Name", "hash") == (True, NOON + DAY)
    assert hub.access("Org/Name", "other") is None


def test_a_user_who_may_not_create_the_extension_is_told_what_to_do(postgresql_url: str) -> None:
    """The rest of the catalog works without it (cloudquery/cloudquery#816, RitechSolutions/genassist#942)."""
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    name = engine.url.database
    role = f"plain_{name}"
    limited = str(engine.url.set(username=role))
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT ALL ON SCHEMA public TO {role}"))
        try:
            with pytest.raises(CatalogError, match="pg_trgm") as caught:
                HubCatalog.open(limited)
            assert f"CREATE EXTENSION pg_trgm; in the database {name}" in caught.value.remedy
            with Catalog.open(limited, lambda: NOON) as catalog:
                catalog.begin_ingest("m", "mock:m")
            connection.execute(text("CREATE EXTENSION pg_trgm"))
            with HubCatalog.open(limited) as hub:
                refresh(hub, [BEFORE], NOON)
        finally:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()
