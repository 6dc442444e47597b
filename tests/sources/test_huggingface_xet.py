"""Files that the Hub keeps in Xet: read by the real hf_xet from a storage on a real socket."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.hub import Hub
from tests.simulators.xet import XetStorage
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import AccessDenied, IntegrityError
from weighbridge.intake.fetching import fetch
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.huggingface import HuggingFaceSource
from weighbridge.store.local import LocalBlobStore

WEIGHTS = random.Random(1).randbytes(3_000_000)
PATH = "model.safetensors"


@pytest.fixture
def storage() -> Iterator[XetStorage]:
    with XetStorage() as storage:
        yield storage


@pytest.fixture
def hub(storage: XetStorage) -> Iterator[Hub]:
    with Hub() as hub:
        hub.cdn = True
        hub.cas_url, hub.cas_token = storage.url, storage.token
        for name in ("org/name", "org/private"):
            repository = hub.add(name, private=name == "org/private")
            repository.commit({PATH: WEIGHTS, "config.json": b"{}"}, xet_hashes={PATH: storage.keep(WEIGHTS)})
        hub.tokens["secret"] = frozenset({"org/private"})
        storage.requests.clear()
        yield hub


def opened(hub: Hub, name: str = "org/name", token: str = "", **settings: Any) -> tuple[HuggingFaceSource, Manifest]:
    source = HuggingFaceSource(SourceSettings(endpoint=hub.url, auth=Auth(token), **settings))
    return source, source.resolve(ModelRef("huggingface", name))


def fetched(hub: Hub, store: LocalBlobStore, path: str = PATH, **settings: Any) -> FileEntry:
    source, manifest = opened(hub, **settings)
    return fetch(source, manifest.ref, manifest.by_path[path], store)


def over_http(hub: Hub) -> list[str | None]:
    """The Range of every request for the weights' bytes at the CDN."""
    return [request.headers.get("range") for request in hub.asked("GET", "/cdn/")]


def test_bytes_come_through_xet(hub: Hub, storage: XetStorage, store: LocalBlobStore) -> None:
    assert fetched(hub, store).digest == Digest.sha256(WEIGHTS)
    assert any(path.startswith("/xorb/") for _, path in storage.requests)
    assert over_http(hub) == []


@pytest.mark.parametrize("offset", [1, 1_234_567, len(WEIGHTS) - 1])
def test_from_the_middle(hub: Hub, offset: int) -> None:
    source, manifest = opened(hub)
    with source.open(manifest.ref, manifest.by_path[PATH], offset) as stream:
        assert stream.offset == offset
        assert b"".join(stream.chunks) == WEIGHTS[offset:]
    assert over_http(hub) == []


def test_files_of_git_do_not_concern_xet(hub: Hub, storage: XetStorage, store: LocalBlobStore) -> None:
    assert fetched(hub, store, "config.json").digest == Digest.sha256(b"{}")
    assert storage.requests == []


def test_a_stream_may_be_left_early(hub: Hub) -> None:
    source, manifest = opened(hub)
    for _ in range(3):
        with source.open(manifest.ref, manifest.by_path[PATH]) as stream:
            assert next(stream.chunks)
    assert over_http(hub) == []


def test_a_flipped_bit_is_refused(hub: Hub, storage: XetStorage, store: LocalBlobStore) -> None:
    storage.flip(next(iter(storage.files)))
    with pytest.raises(IntegrityError, match=r"model\.safetensors") as error:
        fetched(hub, store)
    assert error.value.facts["expected"] != error.value.facts["actual"]
    assert over_http(hub) == []
    assert not store.has(Digest.sha256(WEIGHTS))


READER = f"""
import sys
from weighbridge.domain.ref import ModelRef
from weighbridge.sources.huggingface import HuggingFaceSource
from weighbridge.net.settings import SourceSettings

source = HuggingFaceSource(SourceSettings(endpoint=sys.argv[1]))
manifest = source.resolve(ModelRef("huggingface", "org/name"))
with source.open(manifest.ref, manifest.by_path["{PATH}"]) as stream:
    print(sum(map(len, stream.chunks)))
"""


def test_nothing_is_written_at_home(hub: Hub, tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_XET_")}
    environment = {**inherited, "HOME": str(home), "HF_HOME": str(home / "hf"), "TMPDIR": str(scratch)}
    # A process of its own: hf_xet opens its log when it is imported.
    done = subprocess.run(
        [sys.executable, "-c", READER, hub.url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"{len(WEIGHTS)}\n", done.stderr
    assert over_http(hub) == []
    assert [*home.rglob("*"), *scratch.rglob("*")] == []


class TestFallingBack:
    @pytest.mark.parametrize("status", [401, 404, 500])
    def test_a_storage_that_refuses(
        self, hub: Hub, storage: XetStorage, store: LocalBlobStore, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        storage.status = status
        with caplog.at_level(logging.WARNING, "weighbridge"):
            assert fetched(hub, store).digest == Digest.sha256(WEIGHTS)
        assert over_http(hub) == [None]
        assert [record.message for record in caplog.records] == ["xet failed, going on over http"]

    def test_a_dead_storage(self, hub: Hub, store: LocalBlobStore) -> None:
        hub.cas_url = "http://127.0.0.1:1"
        assert fetched(hub, store).digest == Digest.sha256(WEIGHTS)
        assert over_http(hub) == [None]

    @pytest.mark.parametrize("fault", [{"status": 404}, {"status": 403}, {"content": b"nonsense"}])
    def test_no_token_for_the_storage(self, hub: Hub, store: LocalBlobStore, fault: dict[str, Any]) -> None:
        commit = hub.repositories["models", "org/name"].branches["main"]
        hub.fault(f"/xet-read-token/{commit}", **fault)
        assert fetched(hub, store).digest == Digest.sha256(WEIGHTS)
        assert over_http(hub) == [None]

    def test_a_stall(self, hub: Hub, storage: XetStorage, store: LocalBlobStore) -> None:
        storage.hanging = True
        assert fetched(hub, store, timeout_s=1.0).digest == Digest.sha256(WEIGHTS)
        assert over_http(hub) == [None]

    def test_a_failed_storage_is_not_asked_again(self, hub: Hub, storage: XetStorage) -> None:
        storage.status = 404
        source, manifest = opened(hub)
        for _ in range(2):
            with source.open(manifest.ref, manifest.by_path[PATH]) as stream:
                assert b"".join(stream.chunks) == WEIGHTS
        assert len({path for _, path in storage.requests}) == len(storage.requests)

    def test_xet_switched_off(
        self, hub: Hub, storage: XetStorage, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        assert fetched(hub, store).digest == Digest.sha256(WEIGHTS)
        assert storage.requests == []


class TestTokens:
    def test_a_private_file(self, hub: Hub, store: LocalBlobStore) -> None:
        assert fetched(hub, store, name="org/private", token="secret").digest == Digest.sha256(WEIGHTS)
        assert over_http(hub) == []

    def test_without_a_token_nothing_is_asked_of_xet(self, hub: Hub, storage: XetStorage) -> None:
        hub.repositories["models", "org/private"].private = False
        hub.repositories["models", "org/private"].gated = True
        source, manifest = opened(hub, "org/private")
        with pytest.raises(AccessDenied), source.open(manifest.ref, manifest.by_path[PATH]):
            pass
        assert storage.requests == []

    @pytest.mark.parametrize("elsewhere", ["{cdn}/steal", "http://[", "https://127.0.0.1/steal"])
    def test_the_token_goes_to_no_other_host(
        self, hub: Hub, storage: XetStorage, store: LocalBlobStore, elsewhere: str
    ) -> None:
        link = f'<{elsewhere.format(cdn=hub.cdn_url)}>; rel="xet-auth"'
        hub.fault("/model.safetensors", methods=("HEAD",), headers={"Link": link})
        assert fetched(hub, store, name="org/private", token="secret").digest == Digest.sha256(WEIGHTS)
        assert storage.requests == []
        assert not hub.asked("GET", "/steal")
