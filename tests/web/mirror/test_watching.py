"""What an operator sees of all processes of a server: metrics, log lines, last uses, and that the limit is held."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.services.clamd import signatures
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, digest_of, mirrored
from weighbridge.web.counters import Counters
from weighbridge.web.traffic import ages

pytestmark = pytest.mark.xdist_group("web")

FILES = {"config.json": b'{"model_type": "llama"}', "model.bin": b"weights" * 1000}
_PATIENCE_S = 30


@dataclass
class Watched:
    """A mirror of two processes before a Hub that sends clients to signed addresses elsewhere."""

    mirror: Mirrored
    hub: Hub
    home: Path
    key: dict[str, str]

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask in a connection of its own, so that either process may answer."""
        return httpx.get(f"{self.mirror.url}{path}", headers={**self.key, **headers}, trust_env=False, timeout=60)

    def take_in(self, name: str) -> None:
        while (response := self.get(f"/{name}/resolve/main/config.json")).status_code == 429:
            time.sleep(0.1)
        assert response.status_code == 200

    def metric(self, name: str, **labels: str) -> float:
        text = httpx.get(f"{self.mirror.served.url.removesuffix('/api')}/metrics", trust_env=False).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def lines(self, message: str) -> list[dict[str, object]]:
        """Return the fields of the lines that were logged with a message so far."""
        found = [line.removeprefix(message) for line in self.mirror.served.said if line.startswith(f"{message} {{")]
        return [json.loads(fields) for fields in found]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    config = folder / "mirror.yaml"
    with Hub() as hub:
        config.write_text(f"backends: [{{type: huggingface, config: {{base_url: {hub.url}, mode: gated}}}}]")
        environment = {
            "WEIGHBRIDGE_POLICY": "minimal",
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
            "WEIGHBRIDGE_CACHE_LIMIT": "50KB",
        }
        options = ("--config", str(config), "--workers", "2")
        with serving(folder / "home", environment, *options, verbose=2) as served:
            yield Watched(mirrored(served, folder / "home"), hub, folder / "home", served.key("reader"))


def until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_log_lines_are_a_message_and_fields_from_every_process(watched: Watched) -> None:
    watched.hub.add("org/logged", FILES)
    watched.take_in("org/logged")
    for _ in range(8):
        assert watched.get("/org/logged/resolve/main/model.bin").content == FILES["model.bin"]
    caching = {line["path"]: line for line in watched.lines("caching")}
    assert set(FILES) <= set(caching)
    assert caching["model.bin"]["bytes"] == len(FILES["model.bin"])
    assert str(caching["model.bin"]["model"]).startswith("hf:org/logged@")
    until(lambda: len([one for one in watched.lines("cache hit") if one["path"] == "model.bin"]) >= 8)
    assert watched.lines("cache hit")[-1]["model"] == "org/logged"
    for line in watched.lines("following redirect"):
        assert "?" not in f"{line['url']}{line['target']}"
    assert not any(watched.key["Authorization"].split()[1] in line for line in watched.mirror.served.said)


def test_what_is_served_has_an_age_and_what_was_fetched_a_time(watched: Watched) -> None:
    watched.hub.add("org/aged", FILES)
    watched.take_in("org/aged")
    name = "weighbridge_mirror_age_seconds"
    before = watched.metric(f"{name}_count")
    for _ in range(4):
        watched.get("/org/aged/resolve/main/config.json")
    until(lambda: watched.metric(f"{name}_count") >= before + 4)
    # The other process shows what it counted within a second, which may be between two questions.
    until(lambda: watched.metric(f"{name}_bucket", le="3600") == watched.metric(f"{name}_bucket", le="+Inf"))
    until(lambda: watched.metric("weighbridge_upstream_seconds_total") > 0)
    until(lambda: watched.metric("weighbridge_upstream_bytes_total") >= sum(map(len, FILES.values())))


def test_ages_are_in_each_part_of_the_histogram_that_is_wide_enough() -> None:
    old = ages(100_000.0)
    assert (old['weighbridge_mirror_age_seconds_bucket{le="86400"}'], old["weighbridge_mirror_age_seconds_sum"]) == (
        0,
        1e5,
    )
    assert old['weighbridge_mirror_age_seconds_bucket{le="604800"}'] == 1


def test_who_waits_is_counted_once_and_until_they_have_it(watched: Watched) -> None:
    watched.hub.add("org/awaited", {**FILES, "slow.bin": b"slow" * 1000})
    watched.hub.fault("/slow.bin", methods=("GET", "HEAD"), status=503)
    for _ in range(6):
        assert watched.get("/org/awaited/resolve/main/config.json").status_code == 429
    until(lambda: watched.metric("weighbridge_mirror_waiting_clients") == 1)
    watched.hub.faults.clear()
    watched.take_in("org/awaited")
    until(lambda: watched.metric("weighbridge_mirror_waiting_clients") == 0)


def test_who_waited_for_a_killed_process_is_forgotten(tmp_path: Path) -> None:
    """Gauges of killed processes stay for ever in the folder that Prometheus's own client shares."""
    one, other = Counters(tmp_path), Counters(tmp_path)
    with one.shown():
        one.wait("a", 2.5)
        one.wait("b", 60)
        other.wait("b", 60)
        other.wait("c", 60)
        until(lambda: other.waiting() == 3)
        until(lambda: other.waiting() == 2)
        one.wait("b", 0)
        other.wait("b", 0)
        until(lambda: other.waiting() == 1)


def test_uses_are_stored_when_the_server_ends_and_the_limit_is_held_at_its_start(tmp_path: Path) -> None:
    """A cache that was above its limit before a start stayed there (jundot/omlx#2064)."""
    home = tmp_path / "home"
    with serving(home) as served:
        mirror = mirrored(served, home)
        mirror.add("org/used", {"a.bin": b"needed" * 1000})
        for _ in range(3):
            assert mirror.get("/org/used/resolve/main/a.bin").status_code == 200
        left = mirror.store.put([b"left" * 1000])
        assert [one.used_at for one in served.catalog.uses.versions()] == [None], "not at each request"
        assert served.stop() == 0
        (used,) = served.catalog.uses.versions()
        assert (used.requests, used.used_at is not None) == (3, True)
    with serving(home, {"WEIGHBRIDGE_CACHE_LIMIT": "5KB"}) as served:
        store = mirrored(served, home).store
        until(lambda: not store.has(left))
        assert {digest.hex for digest in store.digests()} == {digest_of(b"needed" * 1000).hex}
