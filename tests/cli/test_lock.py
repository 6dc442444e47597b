"""`weighbridge lock` and `sync --locked` as a user runs them, while the world moves on between the two."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import DEMO_POLICY, SHIPPED
from tests.services.clamd import signatures
from tests.simulators.hub import Hub
from tests.simulators.pypi import PythonIndex
from tests.simulators.web import Page, WebServer
from weighbridge.cli import app

WEIGHTS = SHIPPED["model.safetensors"]
OTHER = WEIGHTS[:-16] + bytes(range(100, 116))
CATALOGUE = """
sources:
  mine: {{file: {{root: {folder}}}}}
models:
  - {{name: hub, source: {{huggingface: {{repo: org/name}}}}}}
  - {{name: index, source: {{pypi: {{package: tiny-model}}}}}}
  - {{name: web, source: {{url: {{url: "{web}/etag/model.safetensors"}}}}}}
  - {{name: unpinnable, source: {{url: {{url: "{web}/weak/model.safetensors"}}}}}}
  - {{name: archive, source: {{url: {{url: "{web}/model-latest.tar.gz", extract: true}}}}}}
  - {{name: folder, source: {{use: mine, path: {folder}/model}}}}
  - {{name: empty, source: {{mock: {{files: [notes.txt]}}}}}}
"""


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"model/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class World:
    """A hub, an index, a web server and a folder, each with one small model; and a user who wants them all."""

    def __init__(self, folder: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.hub, self.web = stack.enter_context(Hub()), stack.enter_context(WebServer())
        self.repository, self.index = self.hub.add("org/name"), PythonIndex(self.web)
        (folder / "model").mkdir()
        self.publish(WEIGHTS, "1.0")
        catalogue = CATALOGUE.format(folder=folder, web=self.web.url(""))
        (folder / "models.yaml").write_text(catalogue)

    def publish(self, weights: bytes, version: str) -> None:
        """Put weights at every place that a name leads to."""
        files = SHIPPED | {"model.safetensors": weights}
        self.repository.commit(files)
        self.index.add_wheel("tiny_model", version, {f"tiny_model/{path}": data for path, data in files.items()})
        for path, content in files.items():
            (self.folder / "model" / path).write_bytes(content)
        self.web.put("/model-latest.tar.gz", tarball(files))
        self.web.put("/etag/model.safetensors", weights)
        self.web.put("/weak/model.safetensors", weights, etag="")

    def run(self, *arguments: str) -> tuple[int, Any]:
        self._capsys.readouterr()
        status = app.run([*arguments, "--json"])
        return status, json.loads(self._capsys.readouterr().out)

    def sync(self) -> tuple[int, dict[str, str], dict[str, str]]:
        """Sync as locked; return the status, what each model came to, and why others failed."""
        status, done = self.run("sync", "--locked")
        came = {one["name"]: one["status"] for one in done["ingested"]} | dict.fromkeys(done["unchanged"], "unchanged")
        return status, came, {one["name"]: one["error"] for one in done["failed"]}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with ExitStack() as stack:
        world = World(tmp_path, stack, capsys)
        environment = {
            "HOME": str(tmp_path / "home"),
            "POLICY": DEMO_POLICY,
            "CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
            "REGISTRIES": '["export"]',
            "HUGGINGFACE_ENDPOINT": world.hub.url,
            "PYPI_INDEX": world.index.url,
        }
        for name, value in environment.items():
            monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
        monkeypatch.chdir(tmp_path)
        yield world


NAMES = {"hub", "index", "web", "unpinnable", "archive", "folder", "empty"}


def test_the_world_moves_on_and_only_what_was_locked_comes_in(world: World) -> None:
    status, locked = world.run("lock")
    assert (status, set(locked["models"])) == (0, NAMES)
    text = Path("models.lock").read_text()
    assert "pinned: pypi:tiny-model==1.0" in text
    assert world.run("list")[1] == [], "locking takes nothing in"

    world.publish(OTHER, "2.0")
    status, came, failed = world.sync()
    # The hub and the index can be asked for what they held; a URL and a folder hold one thing at a time.
    assert came == dict.fromkeys(("hub", "index", "empty"), "PASSED")
    assert set(failed) == {"web", "unpinnable", "archive", "folder"}
    assert all("is not what models.lock holds: changed: model.safetensors" in why for why in failed.values())
    assert status == 1
    assert locked["models"]["archive"] == locked["models"]["hub"], "the same files are the same model"
    shown = world.run("show", "index")[1]
    assert shown["source"].startswith("pypi:tiny-model==1.0")
    assert shown["manifest_digest"] == locked["models"]["index"]
    assert {one["name"] for one in world.run("list")[1]} == {"hub", "index", "empty"}


def test_a_lock_is_taken_in_whole_and_then_nothing_is_left_to_do(world: World) -> None:
    assert world.run("lock")[0] == 0
    assert world.sync() == (0, dict.fromkeys(NAMES, "PASSED"), {})
    asked = len(world.web.requests)
    status, came, failed = world.sync()
    assert (status, set(came), failed) == (0, NAMES, {})
    # What has no identity is fetched again to see whether it is the same; nothing else is.
    assert {name for name, what in came.items() if what == "PASSED"} == {"unpinnable"}
    fetched = [one.path for one in world.web.requests[asked:] if one.method == "GET" and "/weak/" not in one.path]
    assert fetched == ["/simple/tiny-model/"]


def test_what_a_lock_leaves_out_is_named(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "model" / ".DS_Store").write_bytes(b"1")
    world.web.put("/model-latest.tar.gz", tarball(SHIPPED | {"._config.json": b"2"}))
    left_out = {
        "archive": ["model/._config.json: left behind by a desktop, an editor or version control"],
        "folder": [".DS_Store: left behind by a desktop, an editor or version control"],
    }
    found = world.run("lock")[1]["left_out"]
    assert {name: found[name] for name in left_out} == left_out
    assert "hub" not in found
    assert app.run(["lock", "--only", "folder"]) == 0
    assert f"folder: left out: {left_out['folder'][0]}\n" in capsys.readouterr().out


def test_what_the_lock_does_not_hold_fails(world: World) -> None:
    Path("models.yaml").write_text("models: [{name: empty, source: 'mock:a/b'}, {name: gone, source: 'mock:c/d'}]")
    world.run("lock")
    Path("models.yaml").write_text("models: [{name: empty, source: 'mock:x/y'}, {name: new, source: 'mock:c/d'}]")
    status, came, failed = world.sync()
    assert (status, came) == (1, {})
    assert "models.lock holds empty from mock:a/b, but mock:x/y is wanted" in failed["empty"]
    assert "models.lock does not hold new" in failed["new"]
    Path("models.lock").unlink()
    assert world.run("sync", "--locked")[1]["error"]["kind"] == "InvalidConfiguration"


def test_a_default_written_out_is_no_other_model(world: World) -> None:
    Path("models.yaml").write_text("models: [{name: hub, hf_repo_id: org/name}]")
    world.run("lock")
    Path("models.yaml").write_text("models: [{name: hub, source: {huggingface: {repo: org/name, revision: main}}}]")
    assert world.sync() == (0, {"hub": "PASSED"}, {})


def test_a_server_that_lost_the_locked_file_is_told(world: World) -> None:
    world.run("lock")
    world.web.pages["/weak/model.safetensors"] = Page(b"gone", status=404)
    status, _, failed = world.sync()
    assert status == 1
    assert set(failed) == {"unpinnable"}
