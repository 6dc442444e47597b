"""Servers of the Hub's protocol with the same models: ours, nginx with answers that were made before, and olah.

Of nginx, one process serves links to the blobs of ours, and small files of its own. olah fetched everything before.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.measuring import high_water
from tests.services.nginx import configured, free_port
from tests.services.weighbridge import serving
from tests.web.mirror.conftest import Mirrored, mirrored
from weighbridge.domain.digest import Digest

MIB = 1024**2
#: A model of large files, and one of many small ones.
LARGE, MANY = "bench/large", "bench/many"
WEIGHTS, PART, CONFIG = "model.safetensors", "part.bin", "config.json"
_OLAH = Path(sys.prefix) / "olah" / "bin" / "olah-cli"
#: Answers as the Hub has them, from files; a tree is one answer, and every revision is the same. What depends on a body
#: is asked of ours: olah does so when it fetches.
_HTTP = r"""
map $uri $commit {{ {commits} }}
default_type application/octet-stream; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
"""
_SERVER = r"""
server {{
  listen 127.0.0.1:{port};
  limit_rate {line};
  location ~ ^/api/models/(?<id>[^/]+/[^/]+)(/revision/[^/]+)?$ {{
    default_type application/json;
    alias {folder}/answers/$id/info.json;
  }}
  location ~ ^/api/models/(?<id>[^/]+/[^/]+)/tree/ {{
    default_type application/json;
    alias {folder}/answers/$id/tree.json;
  }}
  location ~ ^/api/models/[^/]+/[^/]+/paths-info/ {{ proxy_pass {mirror}$request_uri; }}
  location ~ ^/(?<id>[^/]+/[^/]+)/resolve/[^/]+/(?<path>.+)$ {{
    alias {folder}/files/$id/$path;
    add_header X-Repo-Commit $commit;
  }}
}}
"""
#: Bytes a second of a connection over which a cold model comes, as nginx writes them: MiB.
LINE = "100m"


@dataclass(frozen=True)
class Size:
    """How much the models have.

    Attributes:
        weights: bytes of the large file.
        files: number of the small ones.
    """

    weights: int = 1024 * MIB
    files: int = 3000


@dataclass(frozen=True)
class Hub:
    """A served Hub.

    Attributes:
        name: of the server.
        url: what clients have as `HF_ENDPOINT`.
        pid: of its process; 0 where its memory is not measured.
    """

    name: str
    url: str
    pid: int = 0

    @property
    def rss(self) -> int:
        """Bytes of memory that the process and its children have now; clamd is not among them."""
        process = psutil.Process(self.pid)
        family = [process, *process.children(recursive=True)]
        return sum(int(one.memory_info().rss) for one in family if one.name() != "clamd")

    @property
    def most_rss(self) -> int:
        """The most bytes of memory that the process ever had."""
        return high_water(self.pid)


@contextmanager
def hubs(folder: Path, size: Size) -> Iterator[dict[str, Hub]]:
    """Serve the models by `ours` and `nginx`, and by `line`: nginx again, but no faster than a line to the Hub."""
    with serving(folder / "home") as served:
        mirror = mirrored(served, folder / "home")
        for name, files in _models(size).items():
            mirror.add(name, files)
        for path in (WEIGHTS, PART):
            fetch_s(mirror.url, LARGE, path)  # It is hashed once.
        with _static(folder / "nginx", mirror, size) as (url, line):
            yield {
                "ours": Hub("ours", mirror.url, served.process.pid),
                "nginx": Hub("nginx", url),
                "line": Hub("line", line),
            }


@contextmanager
def through(folder: Path, upstream: Hub) -> Iterator[tuple[Hub, dict[str, str]]]:
    """Hand on what a Hub has, by ours in the mode `read-through` with an empty store; with the header of a key."""
    folder.mkdir()
    config = folder / "mirror.yaml"
    config.write_text(
        f"backends: [{{type: huggingface, config: {{base_url: '{upstream.url}', mode: read-through}}}}]\n"
    )
    variables = {"WEIGHBRIDGE_PRIVATE_NETWORKS": "127.0.0.0/8", "WEIGHBRIDGE_SERVE_JOBS": "0"}
    with serving(folder / "home", variables, "--config", str(config)) as served:
        mirror = mirrored(served, folder / "home")
        yield Hub("through", mirror.url, served.process.pid), served.key("reader")


def fetch_s(url: str, name: str, path: str, headers: Mapping[str, str] | None = None) -> float:
    """Return the seconds that a GET of a whole file takes."""
    began = time.perf_counter()
    with httpx.stream("GET", f"{url}/{name}/resolve/main/{path}", headers=headers, trust_env=False) as response:
        response.raise_for_status()
        for _ in response.iter_raw(MIB):
            pass
    return time.perf_counter() - began


def _models(size: Size) -> dict[str, dict[str, bytes]]:
    drawn = random.Random(7)
    block = drawn.randbytes(MIB)
    large = {WEIGHTS: block * (size.weights // MIB), PART: drawn.randbytes(4 * MIB), CONFIG: b'{"model_type": "llama"}'}
    many = {f"shard-{number // 100:02}/{number:04}.json": drawn.randbytes(2048) for number in range(size.files)}
    return {LARGE: large, MANY: many}


@contextmanager
def _static(folder: Path, mirror: Mirrored, size: Size) -> Iterator[tuple[str, str]]:
    """Serve links to the blobs of the mirror, and what it answers about them, by nginx: fast, and slowly."""
    folder.mkdir()
    commits, moment = {}, time.time() - size.files
    with httpx.Client(base_url=mirror.url, trust_env=False, timeout=120) as client:
        for name in (LARGE, MANY):
            info = client.get(f"/api/models/{name}").raise_for_status().json()
            commits[name] = info["sha"]
            tree = _tree(client, f"/api/models/{name}/tree/{info['sha']}?recursive=true")
            answers = folder / "answers" / name
            answers.mkdir(parents=True)
            (answers / "info.json").write_text(json.dumps(info))
            (answers / "tree.json").write_text(json.dumps(tree))
            for number, entry in enumerate(one for one in tree if one["type"] == "file"):
                path = folder / "files" / name / entry["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                blob = mirror.store.path(Digest("sha256", entry["lfs"]["oid"]))
                if entry["size"] >= MIB:
                    path.symlink_to(blob)
                else:
                    path.write_bytes(blob.read_bytes())
                    os.utime(path, (moment + number,) * 2)  # nginx makes an ETag of size and time.
    lines = " ".join(f'~^/{name}/ "{commit}";' for name, commit in commits.items())
    ports = {free_port(): "0", free_port(): LINE}
    text = _HTTP.format(commits=lines) + "".join(
        _SERVER.format(folder=folder, port=port, mirror=mirror.url, line=line) for port, line in ports.items()
    )
    with configured(folder, text, next(iter(ports))):
        fast, slow = (f"http://127.0.0.1:{port}" for port in ports)
        yield fast, slow


def _tree(client: httpx.Client, path: str) -> list[dict[str, object]]:
    """Return a whole tree, which comes in pages."""
    found = []
    while path:
        response = client.get(path).raise_for_status()
        found += response.json()
        path = response.links.get("next", {}).get("url", "")
    return found


@contextmanager
def olah(folder: Path, upstream: str) -> Iterator[Hub]:
    """Serve by olah what it fetched from a Hub before: `offline`, it asks that no more."""
    folder.mkdir()
    (folder / "offline.toml").write_text("[accessibility]\noffline = true\n")
    with _olah_process(folder, upstream) as url, httpx.Client(base_url=url, trust_env=False, timeout=600) as client:
        for path in (WEIGHTS, PART, CONFIG):
            client.head(f"/{LARGE}/resolve/main/{path}").raise_for_status()
            fetch_s(url, LARGE, path)
        client.get(f"/api/models/{LARGE}/revision/main").raise_for_status()
    with _olah_process(folder, upstream, "--config", str(folder / "offline.toml")) as url:
        yield Hub("olah", url)


@contextmanager
def _olah_process(folder: Path, upstream: str, *options: str) -> Iterator[str]:
    port = free_port()
    at, netloc = f"127.0.0.1:{port}", upstream.partition("://")[2]
    upstreams = ("--hf-scheme", "http", "--hf-netloc", netloc, "--hf-lfs-netloc", netloc)
    own = ("--mirror-netloc", at, "--mirror-lfs-netloc", at, "--repos-path", str(folder / "repos"))
    command = [str(_OLAH), *options, "--host", "127.0.0.1", "--port", str(port), *upstreams, *own]
    with open(folder / "olah.log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _until_it_answers(f"http://{at}", process)
        yield f"http://{at}"
    finally:
        process.terminate()
        process.wait(30)


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            assert process.poll() is None, "olah does not start"
            assert time.monotonic() < deadline, "olah does not answer"
            time.sleep(0.2)
        else:
            return


def download_s(hub: Hub, name: str, folder: Path, environment: Mapping[str, str]) -> float:
    """Return the seconds that `hf download` of a model takes into an empty cache."""
    variables = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder), **environment}
    command = [str(Path(sys.prefix) / "bin" / "hf"), "download", name, "--quiet"]
    began = time.perf_counter()
    subprocess.run(command, env=variables, capture_output=True, check=True, timeout=600)
    return time.perf_counter() - began
