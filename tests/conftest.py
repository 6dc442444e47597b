"""What every test shares: an own WEIGHBRIDGE_HOME and PREFECT_HOME, no telemetry, a blob store."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports prefect, mlflow or huggingface_hub: their settings are read at import.
os.environ.update(
    {
        "PREFECT_HOME": tempfile.mkdtemp(prefix="prefect-"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_XET_TELEMETRY_ENABLED": "0",
        "HF_HOME": tempfile.mkdtemp(prefix="hf-"),
    }
)
for _name in ("HF_TOKEN", "HF_ENDPOINT", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "WEIGHBRIDGE_HOME"):
    os.environ.pop(_name, None)

from tests.services.gitlfs import git_lfs_server  # noqa: E402
from tests.services.mlflow import mlflow_server  # noqa: E402
from tests.services.nginx import nginx  # noqa: E402
from tests.services.ociregistry import oci_registry, private_registry  # noqa: E402
from tests.services.prefect import prefect_harness, prefect_server  # noqa: E402
from tests.services.seaweedfs import s3_server  # noqa: E402
from weighbridge.net.retrying import Retrying  # noqa: E402
from weighbridge.store.local import LocalBlobStore  # noqa: E402


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Call long content by its argument: it has times and other chance in it, which no two workers of xdist share."""
    return argname if isinstance(val, bytes | str) and len(val) > 80 else None


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Undo what the command line sets for its whole process, so that no test hears less because of an earlier one."""
    yield
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for no source that is to be asked again; return the seconds that would have been waited."""
    waits: list[float] = []

    def pause(retrying: Retrying, wait_s: float) -> None:
        waits.append(wait_s)

    monkeypatch.setattr(Retrying, "pause", pause)
    return waits


__all__ = [
    "git_lfs_server",
    "mlflow_server",
    "nginx",
    "oci_registry",
    "prefect_harness",
    "prefect_server",
    "private_registry",
    "s3_server",
    "store",
    "waited",
]


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    """Return an empty blob store."""
    return LocalBlobStore(tmp_path / "store")
