"""What libraries with a client of their own receive: JSON is limited where it is read into memory whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from urllib3 import PoolManager
from urllib3.exceptions import ProtocolError

from tests.simulators.web import WebServer
from weighbridge.config.settings import Settings
from weighbridge.errors import RegistryError
from weighbridge.net.pace import Pace
from weighbridge.net.paced_connections import paced_pools
from weighbridge.registries import REGISTRIES, mlflow_session
from weighbridge.registries.mlflow_session import load_mlflow

LONG = b'{"x": "%s"}' % (b"y" * 200_000)
JSON, BYTES = "application/json", "application/octet-stream"


@pytest.fixture
def site() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def received(site: WebServer, kind: str, max_json: int | None) -> bytes:
    url = site.put("/x", LONG, headers={"Content-Type": kind})
    with PoolManager(retries=False) as manager:
        manager.pool_classes_by_scheme = paced_pools(Pace, max_json=max_json)
        return manager.request("GET", url).data


def test_json_beyond_the_limit_is_not_read(site: WebServer) -> None:
    with pytest.raises(ProtocolError, match="more bytes of JSON"):
        received(site, JSON, 100_000)


@pytest.mark.parametrize(("kind", "max_json"), [(JSON, len(LONG)), (JSON, None), (BYTES, 100_000)])
def test_what_is_within_the_limit_or_has_none_comes_whole(site: WebServer, kind: str, max_json: int | None) -> None:
    assert received(site, kind, max_json) == LONG


def test_mlflow_reads_no_json_beyond_the_limit(site: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    load_mlflow()
    from mlflow.utils import request_utils

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(mlflow_session, "MAX_JSON", 100_000)
    monkeypatch.setattr(request_utils, "TCPKeepAliveHTTPAdapter", request_utils.TCPKeepAliveHTTPAdapter)
    request_utils._cached_get_request_session.cache_clear()
    mlflow_session._keep_pace(request_utils)
    site.put("/api/2.0/mlflow/registered-models/search", LONG, headers={"Content-Type": JSON})
    try:
        with pytest.raises(RegistryError, match=r"cannot be reached|more bytes of JSON"):
            REGISTRIES["mlflow"](Settings(mlflow_tracking_uri=site.url("").rstrip("/"))).prepare()
    finally:
        request_utils._cached_get_request_session.cache_clear()
    assert site.requests
