"""The doctor asks what it ticks: servers that are right, dead, silent, or refuse its credentials."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.seaweedfs import ADMIN, READER, S3Server
from tests.simulators.issuer import AUDIENCE, DISCOVERY, Issuer, new_key
from tests.simulators.web import Page, WebServer
from weighbridge.config.settings import Settings
from weighbridge.intake.doctor import examine
from weighbridge.intake.doctor_check import DoctorCheck, Examination, side_by_side
from weighbridge.net.auth import Auth

SECRET = "pa55word"
JSON = {"Content-Type": "application/json"}
#: Of each service: where its address is set, what it is asked, and a right answer.
SERVICES: dict[str, tuple[str, str, bytes]] = {
    "source huggingface": ("HUGGINGFACE_ENDPOINT", "/api/whoami-v2", b'{"name": "me"}'),
    "source pypi": ("PYPI_INDEX", "/simple/pip/", b'{"files": []}'),
    "source mlflow": ("MLFLOW_SOURCE", "/api/2.0/mlflow/registered-models/search", b"{}"),
    "source ollama": ("OLLAMA_REGISTRY", "/v2/", b"{}"),
    "source s3": ("S3_ENDPOINT", "/", b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"),
    "mlflow": ("MLFLOW_TRACKING_URI", "/api/2.0/mlflow/registered-models/search", b"{}"),
    "clamav": ("CLAMD", "", b""),
    "catalog": ("CATALOG_URL", "", b""),
    "prefect": ("PREFECT_API_URL", "/api/deployments/filter", b"[]"),
    "upstream": ("", "/v1/models", b'{"data": []}'),
}
HTTP = [name for name, (_, path, _) in SERVICES.items() if path]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a working directory of its own; no service is named, and nothing outside may be asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WEIGHBRIDGE_ALLOWED_HOSTS", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("PREFECT_API_URL", "HF_TOKEN", "HF_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def point_at(what: str, port: int, monkeypatch: pytest.MonkeyPatch, *, user: str = "") -> None:
    """Name the service at a port, as its user does."""
    setting = SERVICES[what][0]
    url = f"http://{user}127.0.0.1:{port}"
    if what == "upstream":
        entry = f"{{hf_repo_id: m, skip_download: true, handler: {_UPSTREAM}, upstream_base_url: '{url}/v1'}}"
        Path("models.yaml").write_text(f"models: [{entry}]")
        return
    ends = {"source pypi": "/simple", "prefect": "/api"}
    url = {"clamav": f"tcp://127.0.0.1:{port}", "catalog": f"postgresql+psycopg://{user}127.0.0.1:{port}/db"}.get(
        what, url + ends.get(what, "")
    )
    monkeypatch.setenv(setting if setting.startswith("PREFECT") else f"WEIGHBRIDGE_{setting}", url)


_UPSTREAM = "weighbridge.handlers.upstream.UpstreamChat"
MAY_HOLD_PASSWORD = ("source pypi", "mlflow", "catalog", "prefect")


def checked(**settings: Any) -> dict[str, DoctorCheck]:
    return {check.what: check for check in examine(Settings(**settings))}


@pytest.mark.parametrize("what", SERVICES)
def test_a_server_that_nobody_listens_on_is_missing(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(what, 1, monkeypatch, user=f"user:{SECRET}@" if what in MAY_HOLD_PASSWORD else "")
    found = checked()
    assert found[what].state == "missing"
    assert found[what].mend
    assert SECRET not in repr(found)
    assert {check.what for check in found.values() if check.state == "missing"} == {what}


def test_servers_that_say_nothing_hold_up_no_other(
    silent: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of them hang at once; each is given up after its limit, and the process ends although they still hang."""
    for what in SERVICES:
        point_at(what, silent, monkeypatch, user=f"user:{SECRET}@" if what in MAY_HOLD_PASSWORD else "")
    monkeypatch.setenv("WEIGHBRIDGE_TIMEOUT_S", "2")
    ran = subprocess.run(
        [sys.executable, "-m", "weighbridge", "doctor", "--json"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 1
    found = {check["what"]: check for check in json.loads(ran.stdout)}
    for what in SERVICES:
        assert (found[what]["state"], found[what]["found"].rpartition(": ")[2]) == ("missing", "no answer within 2 s")
        assert f"127.0.0.1:{silent}" in found[what]["found"] or what == "catalog"
    assert (found["python"]["state"], found["confinement"]["state"]) == ("ok", "ok")
    assert SECRET not in ran.stdout + ran.stderr


@pytest.mark.parametrize("what", HTTP)
def test_a_server_that_is_right_is_ticked(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path, answer = SERVICES[what]
    with WebServer() as site:
        point_at(what, site.port, monkeypatch)
        site.put(path, answer, headers={"Content-Type": "application/xml"} if b"<" in answer else JSON)
        found = checked()[what]
        assert site.requests
    assert (found.state, found.mend) == ("ok", "")
    assert f"127.0.0.1:{site.port}" in found.found


@pytest.mark.parametrize("what", HTTP)
def test_a_server_that_refuses_the_credentials_is_missing(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path, _ = SERVICES[what]
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"user:{SECRET}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "user")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    with WebServer() as site:
        point_at(what, site.port, monkeypatch)
        content, headers = b"{}", JSON
        if what == "source s3":
            content, headers = b"<Error><Code>InvalidAccessKeyId</Code></Error>", {"Content-Type": "application/xml"}
        site.put(path, content, status=403 if what == "source s3" else 401, headers=headers)
        found = checked()
    assert found[what].state == "missing"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("what", "answer", "words"),
    [
        ("source huggingface", Page(status=401), "without a token"),
        ("source huggingface", Page(status=404), ""),
        ("source ollama", Page(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}), "which it asks for"),
        ("source ollama", Page(status=404), ""),
        ("source pypi", Page(status=404), ""),
        ("upstream", Page(status=404), ""),
    ],
)
def test_what_a_service_need_not_know_is_no_fault(
    what: str, answer: Page, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror without accounts, a registry that wants to know who asks, an index without that package."""
    with WebServer() as site:
        point_at(what, site.port, monkeypatch)
        site.pages[SERVICES[what][1]] = answer
        found = checked()[what]
    assert found.state == "ok"
    assert found.found.endswith(words)


@pytest.mark.parametrize(
    ("user", "state", "words"),
    [
        (ADMIN, "ok", "its buckets may be listed"),
        (READER, "ok", "its buckets may be listed"),
        (Auth("", ADMIN.username, "wrong"), "missing", "secret access key"),
        (Auth("", "nobody", "wrong"), "missing", "no such access key id"),
    ],
)
def test_a_real_object_store(
    s3_server: S3Server, user: Auth, state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_S3_ENDPOINT", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user.username)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user.password)
    found = checked()["source s3"]
    assert (found.state, words in found.found) == (state, True), found


def test_buckets_of_models_yaml_are_asked_with_their_own_keys(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_S3_ENDPOINT", s3_server.endpoint)
    monkeypatch.setenv("COMPANY_KEYS", f"{READER.username}:{READER.password}")
    source = "{{name: {}, source: {{s3: {{bucket: {}, prefix: {}}}}}, auth: {{tokenEnvVar: COMPANY_KEYS}}}}"
    models = [("a", "models", "a"), ("b", "models", "b"), ("c", "private", "c"), ("d", "nowhere", "d")]
    Path("models.yaml").write_text(f"models: [{', '.join(source.format(*one) for one in models)}]")
    found = [check for check in examine(Settings()) if check.what == "source s3"]
    named = {bucket: [check for check in found if f"s3://{bucket}" in check.found] for _, bucket, _ in models}
    assert {bucket: [check.state for check in checks] for bucket, checks in named.items()} == {
        "models": ["ok"],
        "private": ["missing"],
        "nowhere": ["missing"],
    }


def test_a_models_file_that_cannot_be_read_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("models.yaml").write_text("models: [{}]")
    found = checked()
    assert found["models.yaml"].state == "missing"
    assert found["python"].state == "ok"


@pytest.mark.parametrize("what", [*(name for name in HTTP if name.startswith("source")), "mlflow"])
def test_an_address_that_is_none_is_one_line(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"WEIGHBRIDGE_{SERVICES[what][0]}", "http://h:99999x")
    found = checked()
    assert (found[what].state, found["python"].state) == ("missing", "ok")


@pytest.mark.parametrize("option", ["tracking_uri={0}/%3Fx", "tracking_uri={0}&tracking_uri={0}/b"])
def test_a_server_that_every_ingest_refuses_is_missing(option: str) -> None:
    """An address with a query, which is not shown, and two servers of one model."""
    with WebServer() as site:
        site.put(SERVICES["source mlflow"][1], b"{}", headers=JSON)
        reference = f"mlflow:name/1?{option.format(f'http://127.0.0.1:{site.port}')}"
        Path("models.yaml").write_text(f"models: [{{name: m, source: '{reference}'}}]")
        assert checked()["source mlflow"].state == "missing"
        assert not site.requests


def test_a_public_service_that_is_out_of_reach_is_a_warning() -> None:
    found = checked()
    assert {found[f"source {kind}"].state for kind in ("huggingface", "ollama", "pypi")} == {"warning"}
    assert not {"source s3", "source mlflow"} & found.keys()


def test_a_bug_in_a_check_is_its_result(tmp_path: Path) -> None:
    def broken() -> list[DoctorCheck]:
        raise ZeroDivisionError

    good: Callable[[], list[DoctorCheck]] = lambda: [DoctorCheck("good", "ok", "")]  # noqa: E731
    found = list(side_by_side([Examination("bad", broken), Examination("good", good)], tmp_path))
    assert [(check.what, check.state) for check in found] == [("bad", "missing"), ("good", "ok")]
    assert "unexpected-error.txt" in found[0].mend


def test_an_embedded_registry_is_not_made_by_a_look(tmp_path: Path) -> None:
    found = checked(clamd="tcp://127.0.0.1:1")
    assert (found["mlflow"].state, found["confinement"].state) == ("ok", "ok")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({}, "ok", "1 keys for ES256"),
        ({"issuer": "https://elsewhere.example.com"}, "missing", "is the document of the issuer"),
        ({"jwks_uri": "http://192.0.2.1/keys"}, "missing", "no protected address"),
    ],
)
def test_the_issuer_is_asked_for_its_keys(change: dict[str, str], state: str, words: str) -> None:
    with WebServer() as site:
        issuer = Issuer(site, new_key("one"))
        site.put(DISCOVERY, issuer.document(**change))
        named = {"issuer": issuer.url, "issuer_audiences": (AUDIENCE,), "issuer_roles": {"staff": "reader"}}
        found = checked(**named)["issuer"]
        assert (found.state, words in found.found) == (state, True), found
        issuer.publish()
        site.put(DISCOVERY, issuer.document())
        assert checked(**named)["issuer"].state == "missing"
    assert "issuer" not in checked()
