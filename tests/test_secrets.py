"""No secret is found in anything that a run leaves behind: files, databases, the lock, what it says and what it logs.

Each run is the command line as a user starts it, in a folder that is its home, its working folder and its place for
temporary files. The servers say the secrets back where they can, in refusals and challenges. Only the place that a
secret was given in lies elsewhere. Runs of Prefect's: tests/flows/test_server.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import SHIPPED
from tests.services import gitlfs, mlflow, ociregistry, seaweedfs
from tests.services.ociregistry import Blob
from tests.simulators.hub import Hub
from tests.simulators.pypi import PythonIndex
from tests.simulators.web import WebServer
from tests.traces import forms, new_secret, traces

WEIGHTS = SHIPPED["model.safetensors"]


@dataclass(frozen=True)
class Case:
    """A model, and the secret that opens it.

    Attributes:
        uri: of the model.
        secret: as the place of a token has it: a token, or user:password.
        failing: other models that cannot be had with it, or lead to another host.
        settings: further variables.
        guarded: whether the server takes no other secret.
        sent: tells, after the runs, whether the secret was sent to whom it is for, and to nobody else.
    """

    uri: str
    secret: str
    failing: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    guarded: bool = True
    sent: Callable[[], bool] = lambda: True

    @property
    def header(self) -> str:
        return basic(self.secret) if ":" in self.secret else f"Bearer {self.secret}"


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


def _kept_to_its_host(web: WebServer | Hub, header: str) -> bool:
    """Whether a server heard a header under its first name, and never under its second."""
    heard = [(request.headers["host"], request.headers.get("authorization")) for request in web.requests]
    there = [name for name, _ in heard if name.startswith("localhost")]
    return (
        (f"127.0.0.1:{web.port}", header) in heard and bool(there) and all(not sent for n, sent in heard if n in there)
    )


@contextmanager
def _hub(_: Path) -> Iterator[Case]:
    token = new_secret("hub")
    with Hub() as hub:
        hub.cdn = True
        hub.add("org/private", SHIPPED, private=True)
        hub.add("org/secret", SHIPPED, private=True)
        hub.tokens[token] = frozenset({"org/private"})
        failing = ("hf:org/secret", "hf:org/private@none")
        settings = {"WEIGHBRIDGE_HUGGINGFACE_ENDPOINT": hub.url}
        yield Case("hf:org/private", token, failing, settings, sent=lambda: _kept_to_its_host(hub, f"Bearer {token}"))


def _echo(web: WebServer, secret: str) -> dict[str, Any]:
    """A refusal by a server that says back what it heard."""
    told = f"{secret} {basic(secret)}"
    challenge = f'Basic realm="{told}"'
    return {"content": told.encode(), "status": 401, "headers": {"WWW-Authenticate": challenge}, "etag": ""}


@contextmanager
def _url(_: Path) -> Iterator[Case]:
    secret = f"user:{new_secret('url')}"
    with WebServer() as web:
        web.put("/model.safetensors", WEIGHTS)
        elsewhere = web.url("/model.safetensors", host="localhost")
        failing = (
            web.put("/closed", **_echo(web, secret)),
            web.redirect("/lost", web.url("/nothing", host="localhost")),
            web.redirect("/loop", "/loop"),
            web.redirect("/login", f"ftp://{web.port}/?back={secret}"),
            web.put("/wrong", WEIGHTS) + f"#sha256={'0' * 64}",
        )
        uri = web.redirect("/moved/model.safetensors", elsewhere)
        yield Case(uri, secret, failing, guarded=False, sent=lambda: _kept_to_its_host(web, basic(secret)))


@contextmanager
def _pypi(_: Path) -> Iterator[Case]:
    secret = f"user:{new_secret('pypi')}"
    with WebServer() as web:
        index = PythonIndex(web)
        address = web.url("/files/tiny-1.0-py3-none-any.whl", host="localhost")
        index.add_wheel("tiny", "1.0", {f"tiny/{path}": content for path, content in SHIPPED.items()}, url=address)
        web.put("/simple/closed/", **_echo(web, secret))
        settings = {"WEIGHBRIDGE_PYPI_INDEX": index.url}
        sent = lambda: _kept_to_its_host(web, basic(secret))  # noqa: E731
        yield Case("pypi:tiny", secret, ("pypi:closed", "pypi:none"), settings, False, sent)


@contextmanager
def _answers(_: Path) -> Iterator[Case]:
    """An MLflow server that explains its refusal with what it heard."""
    token = new_secret("mlflow")
    with WebServer() as web:
        web.put("/model.safetensors", WEIGHTS)
        for path in ("registered-models/get", "model-versions/search", "model-versions/get", "registered-models/alias"):
            told = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{token} may not see it"}
            web.put(f"/api/2.0/mlflow/{path}", json.dumps(told).encode(), status=404, etag="")
        failing = tuple(f"mlflow:m{version}?tracking_uri={web.url('')}" for version in ("", "/3", "@x", "/Staging"))
        heard = lambda: f"Bearer {token}" in {request.headers.get("authorization") for request in web.requests}  # noqa: E731
        yield Case(web.url("/model.safetensors"), token, failing, guarded=False, sent=heard)


def _git(folder: Path, server: gitlfs.GitLfsServer) -> Case:
    name = f"closed/{folder.name}.git"
    server.commit(name, SHIPPED | {"model.safetensors": server.put(name, WEIGHTS)})
    failing = (f"git+{server.address(name)}@none", f"git+{server.address('closed/none.git')}")
    return Case(f"git+{server.address(name)}@main", f"{gitlfs.USERNAME}:{gitlfs.PASSWORD}", failing)


def _mlflow(folder: Path, server: mlflow.MLflowServer) -> Case:
    server.add(folder.name, SHIPPED)
    settings = {"WEIGHBRIDGE_MLFLOW_SOURCE": server.uri}
    secret = f"{mlflow.USERNAME}:{mlflow.PASSWORD}"
    return Case(f"mlflow:{folder.name}", secret, (f"mlflow:{folder.name}/9",), settings)


def _ollama(folder: Path, server: ociregistry.OciRegistryServer) -> Case:
    name = f"secrets/{folder.name.replace('_', '-').strip('-').lower()}"
    server.push(name, [Blob.of("model", b"GGUF" + bytes(60))], "7b")
    uris = [f"ollama:{name}:{tag}?registry={server.url}" for tag in ("7b", "none")]
    return Case(uris[0], f"{ociregistry.USERNAME}:{ociregistry.PASSWORD}", (uris[1],))


def _s3(folder: Path, server: seaweedfs.S3Server) -> Case:
    secret = f"{seaweedfs.READER.username}:{seaweedfs.READER.password}"
    settings = {"WEIGHBRIDGE_S3_ENDPOINT": server.endpoint}
    return Case(f"s3://{server.fill(SHIPPED)}", secret, ("s3://private/x", "s3://models/none"), settings)


SIMULATED = {"hub": _hub, "url": _url, "pypi": _pypi, "mlflow-answers": _answers}
SERVED: dict[str, tuple[str, str, Callable[[Path, Any], Case]]] = {
    "git-lfs": ("git_lfs_server", "gitlfs", _git),
    "mlflow": ("mlflow_server", "mlflow", _mlflow),
    "ollama": ("private_registry", "ociregistry", _ollama),
    "s3": ("s3_server", "s3", _s3),
}
CASES = [
    *SIMULATED,
    *(pytest.param(name, marks=pytest.mark.xdist_group(group)) for name, (_, group, _) in SERVED.items()),
]


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param in SIMULATED:
        with SIMULATED[request.param](tmp_path) as found:
            yield found
        return
    fixture, _, make = SERVED[request.param]
    yield make(tmp_path, request.getfixturevalue(fixture))


@dataclass
class Runs:
    """Runs of the command line in one folder, and what they said."""

    folder: Path
    settings: dict[str, str]
    told: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **variables: str) -> int:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "WEIGHBRIDGE_HOME": str(self.folder / "state"),
            "WEIGHBRIDGE_REGISTRIES": '["export"]',
            "PYTHONWARNINGS": "ignore",
        }
        ran = subprocess.run(
            [sys.executable, "-m", "weighbridge", *arguments],
            cwd=self.folder,
            env=environment | self.settings | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.told |= {f"{kind} of {len(self.told)}": text for kind, text in (("out", ran.stdout), ("err", ran.stderr))}
        assert "Traceback" not in ran.stderr, ran.stderr[-3000:]
        return ran.returncode


@pytest.fixture
def runs(case: Case, tmp_path: Path) -> Runs:
    folder = tmp_path / "left"
    (folder / "tmp").mkdir(parents=True)
    (folder / "policy.yaml").write_text("extends: quick\n")
    return Runs(folder, case.settings)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_a_run_leaves_no_secret(case: Case, runs: Runs, tmp_path: Path) -> None:
    wrong = "user:" + new_secret("wrong") if ":" in case.secret else new_secret("wrong")
    place = tmp_path / "elsewhere"
    place.write_text(case.secret + "\n")
    models = {"models": [{"name": "wanted", "source": case.uri, "auth": {"tokenFile": str(place)}}]}
    (runs.folder / "models.yaml").write_text(json.dumps(models))

    arrived = runs.run("-v", "fetch", case.uri, "--json", "--token-env", "GIVEN", GIVEN=case.secret)
    assert arrived == 0, runs.told
    assert runs.run("-v", "sync", "--json") in (0, 2), runs.told
    assert runs.run("lock") == 0, runs.told
    assert runs.run("show", "wanted", "--json") == 0, runs.told
    assert case.uri.partition("?")[0].partition("@")[0] in (runs.folder / "models.lock").read_text()
    for number, uri in enumerate(case.failing):
        told = ("-v", "ingest", "--json") if number % 2 else ("ingest",)
        assert runs.run(*told, uri, "--token-env", "GIVEN", GIVEN=case.secret) != 0
    refused = runs.run("-v", "ingest", case.uri, "--json", "--token-env", "GIVEN", GIVEN=wrong)
    assert bool(refused) is case.guarded
    for mistaken in ("--token-env", "--token-file"):  # the secret itself, where its place belongs
        assert runs.run("ingest", case.uri, mistaken, case.secret) == 64

    given = [secret.partition(":")[2] or secret for secret in (case.secret, wrong)]
    given += [b64encode(secret.encode()).decode() for secret in (case.secret, wrong)]
    assert case.sent()
    assert traces(runs.folder, runs.told, given) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Every form, in a file, in a database's pages, in a name, and in what was told."""
    secret = new_secret("x")
    for number, form in enumerate(forms(secret)):
        (tmp_path / f"{number}.db").write_bytes(b"\0" * number + form + b"\xff")
    assert len(traces(tmp_path, {}, [secret])) == len(forms(secret))
    for text in (secret, f"user:{secret}", f"uu:{secret}more", f"{secret}"):
        assert traces(tmp_path / "none", {"out": basic(text)}, [secret]) == ["out"]
        assert traces(tmp_path / "none", {"out": f"https://a/?t={text!r}"}, [secret]) == ["out"]
    assert traces(tmp_path / "none", {"out": secret[1:]}, [secret]) == []
