"""What is here of the repositories of a Hub: found by the repository, not by the name that a model has here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import create_engine, text

from tests.catalog import earlier
from tests.catalog.values import CARD, decision, manifest
from weighbridge.catalog import Catalog
from weighbridge.domain.decision import Reason, Verdict

COMMIT = "a" * 40


def add(catalog: Catalog, name: str, source: str, verdict: Verdict = "PASSED") -> None:
    """Settle a version of a model that came from a URI."""
    judged = decision(verdict)
    if verdict == "FAILED":
        judged = replace(judged, reasons=(Reason("reject", "clamav.signature", "A virus.", "x", ""), *judged.reasons))
    catalog.settle_version(name, source, manifest(f"{name}{source}"), CARD, judged, (), lambda _: "1.0.0")


def test_versions_are_found_under_every_name_and_in_any_case(catalog: Catalog) -> None:
    add(catalog, "qwen", f"hf:Qwen/Qwen3-4B@{COMMIT}?files=*.json")
    add(catalog, "carried", f"bundle:other@1.0.0?upstream=hf:qwen/qwen3-4b@{COMMIT}", "FAILED")
    add(catalog, "data", f"hf-dataset:Qwen/Qwen3-4B@{COMMIT}")
    add(catalog, "Qwen/Qwen3-4B", "ollama:qwen3:4b")
    found = catalog.repositories.versions(["qwen/QWEN3-4b", "org/none"])
    assert [(one.name, one.status, one.commit, one.default) for one in found] == [
        ("carried", "FAILED", COMMIT, False),
        ("qwen", "PASSED", COMMIT, True),
    ]
    assert [one.reason for one in found] == ["clamav.signature: A virus.", ""]


def test_withdrawn_and_removed_versions(catalog: Catalog) -> None:
    add(catalog, "one", f"hf:org/one@{COMMIT}")
    add(catalog, "two", f"hf:org/two@{COMMIT}")
    catalog.withdraw("one", "1.0.0", "recalled")
    catalog.remove("two", "1.0.0")
    (found,) = catalog.repositories.versions(["org/one", "org/two"])
    assert (found.status, found.withdrawn) == ("FAILED", "recalled")


def test_more_repositories_than_one_statement_takes(catalog: Catalog) -> None:
    add(catalog, "one", f"hf:org/one@{COMMIT}")
    wanted = [*(f"org/{number}" for number in range(3000)), "org/one"]
    assert [one.name for one in catalog.repositories.versions(wanted)] == ["one"]


def test_the_newest_attempt_of_each_model(catalog: Catalog) -> None:
    first = catalog.begin_ingest("org/one", "hf:org/one")
    catalog.update_ingest(first, status="ERROR", error="gated")
    catalog.begin_ingest("org/one", "hf:org/one@main")
    catalog.begin_ingest("org/two", "hf:org/two")
    found = catalog.repositories.attempts(["org/one", "org/none"])
    assert {name: (one.uri, one.status) for name, one in found.items()} == {"org/one": ("hf:org/one@main", "PENDING")}


def test_versions_of_an_earlier_catalog_get_their_repository(url: str, open_catalog: Callable[..., Catalog]) -> None:
    sources = {
        "plain": f"hf:Org/Plain@{COMMIT}",
        "files": f"xet:org/files@{COMMIT}?files=*.json",
        "carried": f"bundle:x@1.0.0?upstream=hf%3AOrg/Carried@{COMMIT}",
        "other": "ollama:llama2:7b",
    }
    catalog = open_catalog(url)
    for name, source in sources.items():
        add(catalog, name, source)
    catalog.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        earlier.take_back(connection, "0018")
    engine.dispose()
    found = open_catalog(url).repositories.versions(["org/plain", "org/files", "org/carried", "llama2"])
    assert sorted((one.repository, one.name) for one in found) == [
        ("org/carried", "carried"),
        ("org/files", "files"),
        ("org/plain", "plain"),
    ]
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT count(*) FROM versions WHERE repository IS NULL")).scalar_one()
    engine.dispose()
    assert rows == 1
