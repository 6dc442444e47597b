"""compose.yaml holds together: settings that exist, files that exist, limits that agree, no secret, no open port."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from weighbridge.config.settings import Settings
from weighbridge.scanners.clamd.daemon import MAX_FILE_SIZE, executable

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments"
TEXT = (FOLDER / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def clamd_settings() -> dict[str, str]:
    lines = (FOLDER / "clamd.conf").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def test_our_settings_exist() -> None:
    given = {variable for name in SERVICES for variable in environment(name) if variable.startswith("WEIGHBRIDGE_")}
    assert given
    assert {variable.removeprefix("WEIGHBRIDGE_").lower() for variable in given} <= set(Settings.model_fields)


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
def test_prefects_settings_exist() -> None:
    import prefect.settings

    given = {variable for name in SERVICES for variable in environment(name) if variable.startswith("PREFECT_")}
    of_redis = {variable for variable in given if variable.startswith("PREFECT_REDIS_")}
    assert len(given) > 8
    assert not hasattr(prefect.settings, "PREFECT_NO_SUCH_SETTING")
    assert [variable for variable in given - of_redis if not hasattr(prefect.settings, variable)] == []


def test_what_is_needed_is_there_first() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            healthy = how["condition"] == "service_healthy"
            assert not healthy or "healthcheck" in SERVICES[needed], f"{name} waits for {needed} for ever"


def test_addresses_name_services() -> None:
    hosts = set(re.findall(r"(?:://|@)(?:\w+:[^@\s]+@)?([a-z]+)[:/]", TEXT))
    assert hosts <= set(SERVICES)
    assert {"database", "prefect", "mlflow", "clamd"} <= hosts


def test_files_in_commands_exist() -> None:
    named = {
        word.removeprefix("--config-file=").removeprefix("/opt/weighbridge/")
        for service in SERVICES.values()
        for word in [*service.get("command", []), *service.get("healthcheck", {}).get("test", [])]
        if "deployments/" in word
    }
    assert {"deployments/setup_prefect.py", "deployments/clamd.conf"} == named
    assert all((ROOT / name).is_file() for name in named)
    assert (FOLDER / "Dockerfile").is_file()


def test_every_port_is_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_password_stands_in_it() -> None:
    values = [str(value) for name in SERVICES for value in environment(name).values()]
    secret = [
        value
        for name in SERVICES
        for key, value in environment(name).items()
        if re.search("PASSWORD|SECRET|AUTH(?!_CONFIG)", key)
    ]
    assert secret
    assert all(re.fullmatch(r"\$\{\w+(:\?[^}]+)?\}", value) for value in secret)
    assert not [value for value in values if re.search(r"://[^:/@]+:(?!\$\{)[^@]*@", value)]


def test_mlflow_knows_its_users(tmp_path: Path) -> None:
    """MLflow reads the file as we mean it: one who writes, everybody else reads; the worker is the one who writes."""
    text = yaml.safe_load(TEXT)["configs"]["mlflow-users"]["content"]
    (tmp_path / "users.ini").write_text(re.sub(r"\$\{MLFLOW_PASSWORD[^}]*\}", "f00d", text))
    program = "from mlflow.server.auth.config import *; import json; print(json.dumps(read_auth_config()._asdict()))"
    needed = {"MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "users.ini"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    ran = subprocess.check_output([sys.executable, "-W", "ignore", "-c", program], env=os.environ | needed, text=True)
    found = json.loads(ran.splitlines()[-1])
    assert (
        found.items()
        >= {"admin_username": "weighbridge", "admin_password": "f00d", "default_permission": "READ"}.items()
    )
    command = str(SERVICES["mlflow"]["command"])
    assert "--app-name basic-auth" in command
    assert found["database_uri"].rpartition("/")[2] in yaml.safe_load(TEXT)["configs"]["databases"]["content"]
    (mounted,) = SERVICES["mlflow"]["configs"]
    assert mounted == {"source": "mlflow-users", "target": environment("mlflow")["MLFLOW_AUTH_CONFIG_PATH"]}
    assert "//weighbridge:${MLFLOW_PASSWORD}@" in environment("worker")["WEIGHBRIDGE_MLFLOW_TRACKING_URI"]


def test_clamd_is_told_what_weighbridge_believes() -> None:
    """With a smaller StreamMaxLength whole files would fail; with a smaller limit they would be read in windows."""
    settings, limit = clamd_settings(), environment("worker")["WEIGHBRIDGE_CLAMD_LIMIT"]
    assert settings["MaxFileSize"] == settings["StreamMaxLength"] == limit == str(MAX_FILE_SIZE)
    assert environment("worker")["WEIGHBRIDGE_CLAMD"] == f"tcp://clamd:{settings['TCPSocket']}"
    assert settings["AlertExceedsMax"] == settings["AlertEncrypted"] == "yes"


@pytest.mark.skipif(not shutil.which("clamd", path="/usr/sbin:/usr/bin:/usr/local/sbin"), reason="clamd not installed")
def test_clamd_understands_its_configuration(tmp_path: Path) -> None:
    """It gets as far as looking for signatures, of which there are none."""
    configuration = tmp_path / "clamd.conf"
    text = (FOLDER / "clamd.conf").read_text().replace("/var/lib/clamav", str(tmp_path))
    configuration.write_text(text.replace("TCPSocket 3310", f"LocalSocket {tmp_path}/socket").replace("TCPAddr", "#"))
    command = [executable(), "--foreground", f"--config-file={configuration}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode != 0
    assert "No supported database files found" in ran.stdout + ran.stderr


def test_the_image_leaves_secrets_and_state_out() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    assert {".git", ".venv", ".weighbridge", "**/.env", "models.local.y*ml"} <= set(ignored)
