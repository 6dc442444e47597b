"""A password in a configured address is shown by nothing: no message, no log, no repr, no file, no database."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest

from tests.cli.conftest import Bench, bench
from tests.simulators.web import WebServer
from tests.traces import new_secret, traces
from weighbridge.config.settings import Settings
from weighbridge.errors import InvalidConfiguration

__all__ = ["bench"]

#: What uses the addresses that may hold a password, and those that other programs' variables name.
USED_BY = {
    "WEIGHBRIDGE_CATALOG_URL": (),
    "WEIGHBRIDGE_MLFLOW_TRACKING_URI": (),
    "WEIGHBRIDGE_PYPI_INDEX": ("pypi:tiny",),
    "PIP_INDEX_URL": ("pypi:tiny",),
    "HF_ENDPOINT": ("hf:org/name", "xet:org/name"),
    "MLFLOW_TRACKING_URI": ("mlflow:tiny/1",),
    "AWS_ENDPOINT_URL_S3": ("s3://bucket/tiny",),
    "PREFECT_API_URL": (),
    "HTTP_PROXY": ("http://models.example/w.bin", "git+http://models.example/a.git", "ollama:tiny"),
}
TEXTS = [
    name for name, field in Settings.model_fields.items() if "str" in str(field.annotation) or "Path" in str(field)
]


def variable(name: str) -> str:
    return f"WEIGHBRIDGE_{name.upper()}"


def address(variable: str, secret: str, port: int) -> str:
    scheme = "postgresql+psycopg" if variable == "WEIGHBRIDGE_CATALOG_URL" else "http"
    return f"{scheme}://us%40er:{quote(secret, safe='')}@127.0.0.1:{port}/x"


@pytest.mark.parametrize("name", [name for name in TEXTS if variable(name) not in USED_BY])
def test_an_address_that_is_shown_may_hold_no_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = new_secret(name)
    for written in ("{}", '["{}"]', '{{"a": "{}"}}'):
        monkeypatch.setenv(variable(name), written.format(address("", secret, 9)))
        with pytest.raises(InvalidConfiguration) as caught:
            Settings()
        assert variable(name) in str(caught.value)
        assert secret[:20] not in repr(caught.value)


@pytest.mark.parametrize(("name", "asking"), USED_BY.items(), ids=USED_BY)
def test_a_password_is_not_shown(
    name: str,
    asking: tuple[str, ...],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither where a server refuses everything nor where there is none."""
    caplog.set_level(logging.DEBUG)
    secret = new_secret(name)
    settings = {"TIMEOUT_S": "5", "VIA": "direct"} | ({"REGISTRIES": "mlflow"} if "TRACKING" in name else {})
    others = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    for key, value in ({variable(key): value for key, value in settings.items()} | others).items():
        monkeypatch.setenv(key, value)
    told = {}
    with WebServer() as web:
        for number, port in enumerate((web.port, 9)):
            monkeypatch.setenv(name, address(name, secret, port))
            told[f"repr {number}"] = f"{Settings()!r} {Settings()}"
            used = asking or (bench.model(),)
            for command in (("doctor", "--json"), *(("ingest", one, "-v") for one in used))[number:]:
                ran = bench.run(*command)
                told |= {f"{number} {command}: out": ran.out, f"{number} {command}: err": ran.err}
    told["log"] = caplog.text
    assert traces(bench.folder, told, [secret]) == []


def test_a_password_among_the_options_of_the_catalogs_address_is_not_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = new_secret("catalog")
    url = f"postgresql+psycopg://127.0.0.1:9/x?user=a&password={quote(secret, safe='')}"
    monkeypatch.setenv("WEIGHBRIDGE_CATALOG_URL", url)
    ran = bench.run("list")
    assert ran.status != 0
    assert traces(bench.folder, {"out": ran.out, "err": ran.err}, [secret]) == []
