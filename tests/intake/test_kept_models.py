"""What is kept of models is what the catalog has now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now
from weighbridge.intake import kept_models
from weighbridge.intake.kept_models import KeptModels


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now) as opened:
        yield opened


def test_each_change_is_seen(catalog: Catalog) -> None:
    kept = KeptModels(catalog)
    assert (kept.model("org/name"), kept.version("org/name", "1.0.0")) == (None, None)
    settle(catalog)
    first, model = kept.version("org/name", "1.0.0"), kept.model("org/name")
    assert first is not None
    settle(catalog, name="org/other")
    assert kept.version("org/name", "1.0.0") is first, "another model changed"
    assert kept.model("org/name") is model
    catalog.withdraw("org/name", "1.0.0", "Why not.")
    changed = kept.version("org/name", "1.0.0")
    assert changed is not None
    assert changed.status == "FAILED"
    catalog.remove("org/name", "1.0.0")
    assert kept.version("org/name", "1.0.0") is None
    assert kept.model("org/name") is None


def test_many_changes_at_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_models, "_MOST_ROWS", 2)
    kept = KeptModels(catalog)
    settle(catalog)
    first = kept.version("org/name", "1.0.0")
    for number in range(3):
        settle(catalog, name=f"org/other{number}")
    again = kept.version("org/name", "1.0.0")
    assert again == first
    assert again is not first


def test_little_is_kept(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_models, "_MOST_KEPT", 4)
    kept = KeptModels(catalog)
    for number in range(3):
        settle(catalog, name=f"org/name{number}")
    kept.version("org/name0", "1.0.0")
    for number in range(3):
        found = kept.version(f"org/name{number}", "1.0.0")
        assert kept.version(f"org/name{number}", "1.0.0") is found
        kept.model(f"org/name{number}")
    assert len(kept._versions) == 1
    assert len(kept._models) == 1


def test_names_as_clients_write_them(catalog: Catalog) -> None:
    kept = KeptModels(catalog)
    settle(catalog, name="llama2:7b")
    assert [kept.name_of(asked) for asked in ("llama2-7b", "llama2-7b", "llama2:7b")] == ["llama2:7b"] * 3
    assert [kept.name_of(asked) for asked in ("llama2-", "-", "other-[a]", "%-_")] == [
        "llama2-",
        "-",
        "other-[a]",
        "%-_",
    ]
    settle(catalog, name="llama2 7b")
    assert kept.name_of("llama2-7b") == "llama2-7b", "two models would be called so"
    settle(catalog, name="llama2-7b")
    assert kept.name_of("llama2-7b") == "llama2-7b"
    assert kept.model("llama2-7b") is not None
