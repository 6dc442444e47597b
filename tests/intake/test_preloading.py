"""Preloading: chosen models, passed by the gate, in a cache that Hugging Face's clients read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from tests.registries.values import put
from weighbridge.catalog import Catalog
from weighbridge.config.models_file import ModelEntry, read_models, select
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import InvalidConfiguration, RegistryError
from weighbridge.intake.preloading import cache_folder, fill_cache
from weighbridge.store.local import LocalBlobStore

MODELS = """
models:
  - hf_repo_id: org/first
  - name: second
    source: mock:org/second
  - name: far
    hf_repo_id: far/model
    skip_download: true
"""


@pytest.fixture
def entries(tmp_path: Path) -> tuple[ModelEntry, ...]:
    (tmp_path / "models.yaml").write_text(MODELS)
    return read_models(tmp_path / "models.yaml")


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "store")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}", lambda: datetime(2026, 1, 1, tzinfo=UTC)) as catalog:
        yield catalog


def settled(catalog: Catalog, found: ModelVersion) -> ModelVersion:
    return catalog.settle_version(
        found.name, found.source, found.manifest, found.card, found.decision, (), lambda previous: found.version
    )


def test_models_are_chosen_by_either_name_in_order(entries: tuple[ModelEntry, ...]) -> None:
    assert [entry.key for entry in select(entries, "second, org/first,second,")] == ["second", "org/first"]
    assert [entry.key for entry in select(entries, "far/model")] == ["far"]
    with pytest.raises(InvalidConfiguration, match="has no third, fourth"):
        select(entries, "third,second,fourth")
    with pytest.raises(InvalidConfiguration, match="chosen"):
        select(entries, " , ")


def test_the_cache_is_the_one_that_clients_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_what_passed_is_put_where_clients_find_it(
    entries: tuple[ModelEntry, ...], catalog: Catalog, store: LocalBlobStore, tmp_path: Path
) -> None:
    first = settled(catalog, put(store, {"config.json": b"{}"}, name="org/first"))
    asked: list[str] = []

    def ingest(entry: ModelEntry) -> ModelVersion:
        asked.append(entry.key)
        return settled(catalog, put(store, {"model.safetensors": b"x"}, name=entry.key))

    cache = tmp_path / "cache"
    done = fill_cache(entries, catalog, store, cache, ingest)
    assert asked == ["second"]
    assert [(one.name, one.repo_id) for one in done] == [("org/first", "org/first"), ("second", "second")]
    found = snapshot_download("org/first", cache_dir=cache, local_files_only=True)
    assert Path(found, "config.json").read_bytes() == b"{}"
    assert done[0].version == first.version
    assert fill_cache(entries[:1], catalog, store, cache, None) == done[:1]


def test_what_is_missing_is_named_when_nothing_may_be_downloaded(
    entries: tuple[ModelEntry, ...], catalog: Catalog, store: LocalBlobStore, tmp_path: Path
) -> None:
    with pytest.raises(RegistryError, match="org/first, second") as error:
        fill_cache(entries, catalog, store, tmp_path / "cache", None)
    assert error.value.facts["missing"] == ["org/first", "second"]
    assert not (tmp_path / "cache").exists()


def test_nothing_is_put_there_when_one_does_not_pass(
    entries: tuple[ModelEntry, ...], catalog: Catalog, store: LocalBlobStore, tmp_path: Path
) -> None:
    settled(catalog, put(store, {"config.json": b"{}"}, name="org/first"))

    def ingest(entry: ModelEntry) -> ModelVersion:
        return settled(catalog, put(store, {"x": b"x"}, name=entry.key, status="FAILED"))

    with pytest.raises(RegistryError, match="Not passed by the gate: second"):
        fill_cache(entries, catalog, store, tmp_path / "cache", ingest)
    assert not (tmp_path / "cache").exists()
