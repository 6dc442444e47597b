"""Lists of the catalog say of each version what the whole version says, and read nothing else."""

from __future__ import annotations

from sqlalchemy import event

from tests.catalog.test_catalog import settle
from tests.catalog.values import manifest
from weighbridge.catalog import Catalog
from weighbridge.domain.version import Publication


def _filled(catalog: Catalog) -> Catalog:
    for name in ("org/a", "org/b", "org/c"):
        settle(catalog, f"{name} one", "1.0.0", name=name)
        settle(catalog, f"{name} two", "1.1.0", "FAILED", name=name)
    settle(catalog, "of both", "2.0.0", name="org/a")
    settle(catalog, "of both", "1.2.0", name="org/b")
    for registry in ("mlflow", "export", "mlflow"):
        catalog.places.add("org/a", "1.0.0", Publication(registry, f"at {registry}", (), registry))
    catalog.withdraw("org/c", "1.0.0", "recalled")
    settle(catalog, "gone", "3.0.0", name="org/c")
    catalog.remove("org/c", "3.0.0")
    catalog.purge("org/b", "1.1.0")
    return catalog


def test_a_line_says_what_the_version_says(catalog: Catalog) -> None:
    for name in ("org/a", "org/b", "org/c", "org/unknown"):
        whole = [version.summary for version in _filled(catalog).versions(name)]
        assert catalog.lists.versions(name) == whole
    assert [version.registries for version in catalog.lists.versions("org/a")] == [(), (), ("export", "mlflow")]


def test_a_version_is_found_by_its_files(catalog: Catalog) -> None:
    _filled(catalog)
    found = [catalog.having(name, manifest("of both").digest) for name in ("org/a", "org/b", "org/c")]
    assert [version.version if version else None for version in found] == ["2.0.0", "1.2.0", None]
    assert catalog.having("org/c", manifest("gone").digest) is None, "it was removed"


def test_a_list_takes_as_many_queries_for_many_as_for_few(catalog: Catalog) -> None:
    settle(catalog, "one", name="org/one")

    def queries() -> int:
        statements: list[str] = []
        engine = catalog._database._engine
        event.listen(engine, "before_cursor_execute", hear := lambda *found: statements.append(found[2]))
        catalog.lists.models()
        catalog.lists.versions("org/one")
        catalog.measured()
        event.remove(engine, "before_cursor_execute", hear)
        return len(statements)

    before = queries()
    for number in range(30):
        settle(catalog, str(number), f"1.{number}.1", name="org/one")
        settle(catalog, str(number), name=f"org/{number}")
    assert queries() == before
