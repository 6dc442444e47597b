"""The contestants: the commands of a user without Weighbridge, and Weighbridge, with one hub and one clamd."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.measuring import Measurement, measure
from bench.models import write_shard, write_sharded, write_small
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.database import write_test_only

BIN = Path(sys.executable).parent
MODEL = "bench/model"
#: clamd must not cache clean results, or later runs would read nothing.
_NO_CACHE = "DisableCache yes\n"


CONTESTANTS = (
    "a download",
    "b sha256sum",
    "c clamdscan",
    "d script",
    "e ingest",
    "f one shard changed",
    "g unchanged",
)


@dataclass(frozen=True)
class Result:
    """The runs of one contestant."""

    name: str
    runs: tuple[Measurement, ...]
    requests: int | None = None
    note: str = ""

    def _median(self, field: str) -> float:
        return statistics.median(getattr(run, field) for run in self.runs)

    @property
    def wall_s(self) -> float:
        """Return the median seconds from start to end."""
        return self._median("wall_s")

    @property
    def cpu_s(self) -> float:
        """Return the median processor seconds, including clamd's."""
        return self._median("cpu_s")

    @property
    def peak_rss(self) -> float:
        """Return the median peak memory in bytes, without clamd's."""
        return self._median("peak_rss")

    @property
    def busy(self) -> float:
        """Return the median share of the cores' time that was not idle."""
        return self._median("busy")

    def to_json(self) -> dict[str, Any]:
        """Return every single run."""
        return {"name": self.name, "runs": [asdict(run) for run in self.runs], "requests": self.requests}


class Stage:
    """The model, the hub that serves it, and the clamd that scans it; ends with the context."""

    def __init__(self, folder: Path, *, shards: int, size: int, models: int) -> None:
        self.folder, self.root, self.models = folder, folder / "hub", models
        self.log = folder / "log"
        write_sharded(self.root / MODEL, shards=shards, shard_size=size // shards)
        for number in range(models):
            write_small(self.root / "many" / f"model-{number}", number)
        (folder / "policy.yaml").write_text("name: bench\nextends: standard\nclamav: {database: any}\n")
        names = "".join(f"  - hf_repo_id: many/model-{number}\n" for number in range(models))
        (folder / "models.yaml").write_text(f"models:\n{names}")
        write_test_only(folder / "signatures")
        self.daemon = Daemon(folder, folder / "signatures", extra_configuration=_NO_CACHE)

    def __enter__(self) -> Self:
        address = self.daemon.connection().address
        self.clamd = f"unix:{address.path}"
        (self.folder / "clamd.conf").write_text(f"LocalSocket {address.path}\n")
        self._hub = subprocess.Popen(
            [sys.executable, "-m", "tests.simulators.hub", "--root", str(self.root), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._hub.stdout is not None
        self.endpoint = f"http://127.0.0.1:{int(self._hub.stdout.readline())}"
        self.get(f"/api/models/{MODEL}?blobs=true")  # The hub hashes its files once, before the measurements.
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.terminate()
        self._hub.wait(20)
        if self._hub.stdout:
            self._hub.stdout.close()
        self.daemon.stop()

    def get(self, path: str) -> bytes:
        """Return the hub's response for a path."""
        with urllib.request.urlopen(self.endpoint + path) as answer:
            content: bytes = answer.read()
            return content

    def requests(self) -> int:
        """Return the number of requests that the hub has answered."""
        return int(json.loads(self.get("/__stats"))["requests"]) - 1

    def environment(self, home: str) -> dict[str, str]:
        """Return the environment of every contestant."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(self.folder / "hf"),
            "WEIGHBRIDGE_HOME": str(self.folder / home),
            "WEIGHBRIDGE_CLAMD": self.clamd,
            "WEIGHBRIDGE_CLAMD_LIMIT": str(self.daemon.limit),
            "WEIGHBRIDGE_POLICY": str(self.folder / "policy.yaml"),
            "WEIGHBRIDGE_VIA": "direct",
        }

    def measure(self, command: Sequence[str], home: str = "home") -> Measurement:
        """Run a contestant; a failure ends the benchmark, as a failed run measures nothing."""
        clamd = self.daemon.pid
        assert clamd is not None
        done = measure(command, environment=self.environment(home), log=self.log, daemons=[clamd])
        if done.status != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{self.log.read_text()[-3000:]}")
        return done

    def remove(self, name: str) -> None:
        """Remove the files of an earlier run."""
        shutil.rmtree(self.folder / name, ignore_errors=True)


def run(stage: Stage, rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Run every contestant in turn, round by round, so that a drift of the machine affects all of them."""
    target = stage.folder / "plain"
    download = [str(BIN / "hf"), "download", MODEL, "--local-dir", str(target)]
    hashes = ["sh", "-c", f"sha256sum {target}/*.safetensors"]
    scan = [
        "clamdscan",
        "--config-file",
        str(stage.folder / "clamd.conf"),
        "--multiscan",
        "--fdpass",
        "--quiet",
        str(target),
    ]
    script = ["sh", "-c", " && ".join((" ".join(download), hashes[-1], " ".join(scan)))]
    ingest = [str(BIN / "weighbridge"), "ingest", f"hf:{MODEL}", "--json"]
    runs: dict[str, list[Measurement]] = {name: [] for name in CONTESTANTS}
    requests, read = 0, 0
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        stage.remove("plain")
        runs["a download"].append(stage.measure(download))
        runs["b sha256sum"].append(stage.measure(hashes))
        runs["c clamdscan"].append(stage.measure(scan))
        stage.remove("plain")
        runs["d script"].append(stage.measure(script))
        stage.remove("plain")
        stage.remove("home")
        runs["e ingest"].append(stage.measure(ingest))
        asked = stage.requests()
        accessed = _blob_reads(stage)
        runs["g unchanged"].append(stage.measure(ingest))
        requests = max(requests, stage.requests() - asked)
        read = max(read, _blob_reads(stage) - accessed)
        _change_one_shard(stage)
        runs["f one shard changed"].append(stage.measure(ingest))
    results = [Result(name, tuple(found)) for name, found in runs.items() if name[0] != "g"]
    results.append(Result("g unchanged", tuple(runs["g unchanged"]), requests, f"{read} blobs read"))
    return results + (_sync(stage, rounds, say) if stage.models else [])


def _change_one_shard(stage: Stage) -> None:
    path = sorted((stage.root / MODEL).glob("*.safetensors"))[0]
    write_shard(path, "model.layers.1.mlp.weight", path.stat().st_size)
    stage.get(f"/api/models/{MODEL}?blobs=true")


def _blob_reads(stage: Stage) -> int:
    """Return how many blobs were read since they were written, by their access times."""
    blobs = (path.stat() for path in (stage.folder / "home" / "store" / "blobs").rglob("*") if path.is_file())
    return sum(1 for found in blobs if found.st_atime_ns > found.st_mtime_ns)


def _sync(stage: Stage, rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Sync many unchanged models, compared with the bare requests for them."""
    models = str(stage.folder / "models.yaml")
    sync = [str(BIN / "weighbridge"), "sync", "--models", models, "--json"]
    say(f"first sync of {stage.models} models")
    environment = stage.environment("many")
    first = subprocess.run(sync, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if first.returncode:
        raise SystemExit(f"the first sync failed:\n{first.stderr[-2000:]}")
    bare = [sys.executable, "-m", "bench.requests", stage.endpoint, str(stage.models)]
    runs: dict[str, list[Measurement]] = {"h sync 1,000 unchanged": [], "i bare requests": []}
    requests = 0
    for _ in range(rounds):
        runs["i bare requests"].append(stage.measure(bare, "many"))
        asked = stage.requests()
        runs["h sync 1,000 unchanged"].append(stage.measure(sync, "many"))
        requests = stage.requests() - asked
    return [
        Result("h sync 1,000 unchanged", tuple(runs["h sync 1,000 unchanged"]), requests),
        Result("i bare requests", tuple(runs["i bare requests"]), stage.models),
    ]
