"""A source of an installed package: the one that docs/sources.md shows, whole, built by pip."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows.conftest import SHIPPED
from tests.services.clamd import signatures
from tests.simulators.web import WebServer

pytestmark = pytest.mark.xdist_group("plugins")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sources.md").read_text()


@dataclass(frozen=True)
class User:
    """A user with packages installed beside Weighbridge, and a library of Acme's."""

    folder: Path
    packages: Path
    library: str

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a module of Python's as this user."""
        environment = os.environ | {
            "PYTHONPATH": f"{self.packages}{os.pathsep}{ROOT}",
            "WEIGHBRIDGE_HOME": str(self.folder / "home"),
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(self.folder / "signatures")),
            "WEIGHBRIDGE_POLICY": str(ROOT / "deployments" / "demo" / "policy.yaml"),
            "WEIGHBRIDGE_REGISTRIES": '["export"]',
            "COLUMNS": "300",
        }
        command = [sys.executable, "-m", *arguments]
        ran = subprocess.run(
            command, cwd=cwd or self.folder, env=environment, capture_output=True, text=True, timeout=240
        )
        assert "Traceback" not in ran.stdout + ran.stderr, ran.stdout + ran.stderr
        return ran


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of the package that the page shows, and of what pip made of it."""
    project, target = tmp_path_factory.mktemp("acme"), tmp_path_factory.mktemp("installed")
    section = PAGE.partition("## A source of your own")[2]
    for path, content in re.findall(r"^`([\w/.]+)`[^\n]*\n\n```\w+\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(content)
    (project / "acme_models" / "__init__.py").touch()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(target), str(project)], check=True, timeout=240)
    return project, target


@pytest.fixture
def user(tmp_path: Path, acme: tuple[Path, Path]) -> Iterator[User]:
    """Return a user of Acme's, whose library has one model."""
    files = [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in SHIPPED.items()
    ]
    index = json.dumps({"version": 3, "files": files}).encode()
    with WebServer() as web:
        for version in ("3", "latest"):
            web.put(f"/team/name/{version}/index.json", index)
            for path, content in SHIPPED.items():
                web.put(f"/team/name/{version}/{path}", content)
        yield User(tmp_path, acme[1], web.url(""))


def test_the_page_shows_a_package_whose_contract_holds(user: User, acme: tuple[Path, Path]) -> None:
    project = acme[0]
    ran = user.run("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project), "tests", cwd=project)
    assert re.search(r"\b1\d passed", ran.stdout), ran.stdout + ran.stderr
    assert "failed" not in ran.stdout


def test_a_model_of_theirs_is_taken_in(user: User) -> None:
    ran = user.run("weighbridge", "ingest", f"acme:team/name?library={user.library}", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    version = json.loads(ran.stdout)
    assert (version["name"], version["status"]) == ("team/name", "PASSED")
    assert version["source"] == f"acme:team/name@3?library={user.library}"
    assert {file["path"] for file in version["files"]} == set(SHIPPED)


def test_models_yaml_and_models_lock_know_it(user: User) -> None:
    (user.folder / "models.yaml").write_text(
        f"sources: {{library: {{acme: {{library: '{user.library}'}}}}}}\n"
        f"models:\n  - source: {{acme: {{id: team/name, revision: 3, library: '{user.library}'}}}}\n"
        "  - {name: newest, source: {use: library, id: team/name}}\n"
    )
    assert user.run("weighbridge", "lock").returncode == 0
    ran = user.run("weighbridge", "sync", "--locked", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    done = json.loads(ran.stdout)
    assert {(one["name"], one["status"]) for one in done["ingested"]} == {("team/name", "PASSED"), ("newest", "PASSED")}
    (user.folder / "models.yaml").write_text("models:\n  - source: {acme: {revision: 3}}\n")
    told = " ".join(user.run("weighbridge", "lock").stderr.split())
    assert "models.yaml:2: models.0.source.acme.id: Field required" in told


def test_the_doctor_lists_them(user: User) -> None:
    checks = {check["what"]: check for check in json.loads(user.run("weighbridge", "doctor", "--json").stdout)}
    assert checks["source acme"]["state"] == "ok"
    assert checks["source acme"]["found"] == "acme-models 1.0"
