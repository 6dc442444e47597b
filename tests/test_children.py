"""What this process starts gets the environment that it needs, not ours: no token, no password, no setting.

Every program that is started notes its environment: the one of that name that is found first is a script that does so
and becomes the real one.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.content.headers.samples import safetensors
from tests.services.clamd import signatures
from tests.services.gitlfs import git
from tests.traces import new_secret
from weighbridge.benchmarks.child import Work, run_in_child
from weighbridge.benchmarks.codesandbox import CodeSandbox
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.content import sandbox
from weighbridge.errors import HandlerError
from weighbridge.handlers.trial import Trial, try_model
from weighbridge.net.git import repository
from weighbridge.scanners.clamd.daemon import Daemon, executable

NOTE = """#!/bin/sh
cat /proc/$$/environ >"{notes}/$$.{name}"
exec {real} "$@"
"""
SECRETS = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "PREFECT_API_AUTH_STRING",
    "WEIGHBRIDGE_CATALOG_URL",
    "OPENAI_API_KEY",
    "OTHER_KEY",
    "SOMETHING_OF_THE_USER",
)
KEY = "KEY_OF_THE_SERVICE"
HANDLER = "weighbridge.handlers.upstream.UpstreamChat"


class Noted:
    """The environments of the programs that were started."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._secrets = folder, {name: new_secret(name) for name in (*SECRETS, KEY)}
        self.programs = folder / "programs"
        self.programs.mkdir()

    def watch(self, name: str, real: str) -> str:
        """Make the program and return its path."""
        path = self.programs / name
        path.write_text(NOTE.format(notes=self._folder, name=name, real=real))
        path.chmod(0o755)
        return str(path)

    def give(self, patch: pytest.MonkeyPatch) -> None:
        """Put every secret into this process's environment."""
        for name, secret in self._secrets.items():
            patch.setenv(name, secret)

    def seen(self) -> list[set[str]]:
        """Return the names of the secrets that each started program got."""
        notes = [path.read_bytes() for path in self._folder.iterdir() if path.is_file()]
        return [{name for name, secret in self._secrets.items() if secret.encode() in note} for note in notes]


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Noted:
    (tmp_path / "noted").mkdir()
    found = Noted(tmp_path / "noted")
    found.give(monkeypatch)
    monkeypatch.setenv("PATH", f"{found.programs}:/usr/sbin:/usr/bin:/bin")
    python = sys.executable
    monkeypatch.setattr(sys, "executable", found.watch("python", python))
    return found


def read_header(folder: Path, _: Noted) -> None:
    (folder / "w.safetensors").write_bytes(safetensors({}))
    assert sandbox.read("safetensors", folder / "w.safetensors").answer is not None


def fetch_with_git(folder: Path, noted: Noted) -> None:
    git(folder, "init", "--quiet", "origin")
    git(folder / "origin", "commit", "--quiet", "--allow-empty", "--message=x")
    found = shutil.which("git", path="/usr/bin:/bin")
    assert found
    noted.watch("git", found)
    repository._git_version.cache_clear()
    opened = repository.GitRepository(f"file://{folder / 'origin'}", protocols=("file",))
    opened.fetch_commit(opened.commit(""))


def start_clamd(folder: Path, noted: Noted) -> None:
    noted.watch("clamd", executable())
    daemon = Daemon(folder, signatures(folder / "signatures"), threads=1)
    assert daemon.version
    daemon.connection()
    daemon.stop()


def run_code(_folder: Path, noted: Noted) -> None:
    found = shutil.which("bwrap")
    assert found
    noted.watch("bwrap", found)
    assert CodeSandbox().run("assert True").passed


@pytest.mark.parametrize("start", [read_header, fetch_with_git, start_clamd, run_code])
def test_a_child_gets_no_secret(start: Callable[[Path, Noted], None], tmp_path: Path, noted: Noted) -> None:
    start(tmp_path, noted)
    seen = noted.seen()
    assert seen
    assert not set().union(*seen)


OPTIONS = {"upstream_base_url": "http://127.0.0.1:9/v1", "upstream_api_key_env": KEY}


def try_it(options: dict[str, str]) -> None:
    with pytest.raises(HandlerError, match=r"The request to .* failed"):
        try_model(Trial(HANDLER, "m", "Hello.", options=options))


def measure_it(options: dict[str, str]) -> None:
    settings = BenchmarkSettings(n=1, warmups=0, prompt_tokens=8, output_tokens=4, timeout_s=120)
    work = Work("inference_latency", HANDLER, "m", "sha256:" + "a" * 64, "cpu", options, settings)
    assert run_in_child(work, lambda: datetime(2026, 1, 1, tzinfo=UTC)).failure


@pytest.mark.parametrize("ask", [try_it, measure_it])
def test_a_model_at_work_gets_the_key_of_its_own_service_only(
    ask: Callable[[dict[str, str]], None], noted: Noted
) -> None:
    ask(OPTIONS)
    assert noted.seen() == [{KEY}]
