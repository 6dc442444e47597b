"""The mirror's files for containers, Kubernetes and nginx: they parse and agree, and a real nginx has TLS."""

from __future__ import annotations

import random
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.services.weighbridge import Served, serving
from tests.web.mirror.conftest import mirrored
from weighbridge.config.mirror_file import read_mirror
from weighbridge.config.settings import Settings
from weighbridge.web.health import PATHS

FOLDER = Path(__file__).parents[2] / "deployments"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kubernetes" / "mirror.yaml").read_text()))
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def test_the_mirror_s_files_can_be_read(tmp_path: Path) -> None:
    inline = tmp_path / "mirror.yaml"
    inline.write_text(named("ConfigMap", "weighbridge-config")["data"]["mirror.yaml"])
    for path in (FOLDER / "mirror.yaml", inline):
        for variables in ({}, {"HF_TOKEN": "hf_x"}):
            mirror = read_mirror(path, variables, Settings())
            (hub,) = mirror.upstreams
            assert (mirror.prefix, hub.mode, hub.token) == ("/huggingface", "gated", variables.get("HF_TOKEN", ""))
            assert mirror.notes == ()


def test_kubernetes_objects_hold_together() -> None:
    pod = named("Deployment", "weighbridge")["spec"]["template"]
    volumes = {one["name"] for one in pod["spec"]["volumes"]}
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    assert {mount["name"] for one in containers for mount in one["volumeMounts"]} == volumes
    (served,) = (one for one in containers if one["name"] == "weighbridge")
    settings = {one["name"] for one in served["env"] if one["name"].startswith("WEIGHBRIDGE_")}
    assert {name.removeprefix("WEIGHBRIDGE_").lower() for name in settings} <= set(Settings.model_fields)
    probes = {served[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert probes | {pod["metadata"]["annotations"]["prometheus.io/path"]} == set(PATHS)
    for name in ("weighbridge", "ml-service"):
        spec = named("Deployment", name)["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    service = named("Service", "weighbridge")["spec"]
    assert service["selector"] == pod["metadata"]["labels"]
    assert {port["targetPort"] for port in service["ports"]} == {port["name"] for port in served["ports"]}
    claims = [one["persistentVolumeClaim"] for one in pod["spec"]["volumes"] if "persistentVolumeClaim" in one]
    assert [bool(named("PersistentVolumeClaim", claim["claimName"])) for claim in claims] == [True]
    limit = next(one["value"] for one in served["env"] if one["name"] == "WEIGHBRIDGE_CLAMD_LIMIT")
    clamd = dict(line.split() for line in named("ConfigMap", "weighbridge-config")["data"]["clamd.conf"].splitlines())
    assert clamd["MaxFileSize"] == clamd["StreamMaxLength"] == limit
    client = named("Deployment", "ml-service")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert client[0]["value"] == f"http://weighbridge:{service['ports'][0]['port']}/huggingface"


def test_compose_mounts_the_file_that_the_setting_names() -> None:
    for name in ("registry", "worker"):
        service = COMPOSE["services"][name]
        path = service["environment"]["WEIGHBRIDGE_MIRROR_CONFIG"]
        assert f"${{MIRROR_CONFIG:-./mirror.yaml}}:{path}:ro" in service["volumes"]


@pytest.fixture
def behind_nginx(tmp_path: Path) -> Iterator[tuple[Served, int]]:
    """Serve behind the nginx.conf that is shown, with a certificate of its own; yields the server and nginx's port."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    tls = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=registry.example.com", "-addext", "subjectAltName=DNS:registry.example.com"]
    files = ["-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt")]
    subprocess.run([*tls, *names, *files], check=True, capture_output=True)
    environment = {"WEIGHBRIDGE_SERVE_NAMES": "registry.example.com", "WEIGHBRIDGE_SERVE_PROXIES": "127.0.0.1"}
    with serving(tmp_path / "home", environment) as served:
        port = _free_port()
        text = (FOLDER / "nginx.conf").read_text()
        text = text.replace("weighbridge:8080", served.url.removeprefix("http://").removesuffix("/api"))
        text = text.replace("/etc/nginx/tls", str(tmp_path)).replace("listen 443", f"listen 127.0.0.1:{port}")
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
            f"events {{}} http {{ access_log off; {temporary}\n{text} }}"
        )
        process = subprocess.Popen([NGINX, "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "nginx.conf")])
        try:
            while process.poll() is None and not _answers(port):
                pass
            assert process.poll() is None, (tmp_path / "error.log").read_text()
            yield served, port
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        time.sleep(0.02)
        return False
    return True


def test_nginx_hands_requests_on_as_they_came(behind_nginx: tuple[Served, int], tmp_path: Path) -> None:
    served, port = behind_nginx
    key = served.key("reader")
    known = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    with httpx.Client(verify=known, trust_env=False) as client:
        address = f"https://127.0.0.1:{port}"
        options: dict[str, Any] = {
            "headers": {"host": "registry.example.com", **key},
            "extensions": {"sni_hostname": "registry.example.com"},
        }
        response = client.get(f"{address}/api/models", **options)
        assert (response.status_code, response.json()["items"]) == (200, [])
        assert client.get(f"{address}/api/models/a%2Fb", **options).json()["type"].endswith("not-in-catalog")
        for path in PATHS:
            assert client.get(f"{address}{path}", **options).status_code == 404
        del options["headers"]["Authorization"]
        assert client.get(f"{address}/api/models", **options).status_code == 401


def test_files_pass_through_nginx_whole_or_as_an_error(behind_nginx: tuple[Served, int], tmp_path: Path) -> None:
    served, port = behind_nginx
    content = random.Random(5).randbytes(1024**2) * 48
    mirror = mirrored(served, tmp_path / "home")
    mirror.add("nginx/large", {"model.bin": content})
    known = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    url = f"https://127.0.0.1:{port}/huggingface/nginx/large/resolve/main/model.bin"
    options: dict[str, Any] = {
        "headers": {"host": "registry.example.com", **served.key("reader")},
        "extensions": {"sni_hostname": "registry.example.com"},
    }
    with httpx.Client(verify=known, trust_env=False, timeout=60) as client:
        assert client.get(url, **options).content == content
        options["headers"]["range"] = "bytes=1000-20000000"
        assert client.get(url, **options).content == content[1000:20_000_001]
        del options["headers"]["range"]
        with client.stream("GET", url, **options) as response:
            assert int(response.headers["content-length"]) == len(content)
            pieces = response.iter_raw(1000)
            next(pieces)
            served.catalog.withdraw("nginx/large", "1.0.0", "It is harmful.")
            time.sleep(1.5)
            with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
                list(pieces)
        assert client.get(url, **options).headers["x-error-code"] == "RevisionNotFound"


def test_every_word_of_nginx_conf_has_its_place() -> None:
    text = (FOLDER / "nginx.conf").read_text()
    assert re.search(r"proxy_pass http://weighbridge;", text), "with a path, nginx would decode what the client wrote"
    assert set(re.search(r"\^/\((.*)\)\$", text)[1].split("|")) == {path.lstrip("/") for path in PATHS}  # type: ignore[index]
