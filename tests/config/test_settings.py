"""Settings from the environment: lists, and mistakes in one line with the variable and an example."""

from pathlib import Path
from typing import Any

import pytest

from weighbridge.cli import app
from weighbridge.config.settings import Settings
from weighbridge.errors import InvalidConfiguration


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("registries", "mlflow,export", ("mlflow", "export")),
        ("registries", '["mlflow", "export"]', ("mlflow", "export")),
        ("registries", " export ", ("export",)),
        ("allowed_hosts", "*.example.com, huggingface.co", ("*.example.com", "huggingface.co")),
        ("file_roots", "/srv/a,/srv/b", (Path("/srv/a"), Path("/srv/b"))),
        ("private_networks", "10.0.0.0/8", ("10.0.0.0/8",)),
        ("private_networks", "", ()),
        ("token_places", '{"HF_TOKEN": ["huggingface.co"]}', {"HF_TOKEN": ("huggingface.co",)}),
        ("connections", "8", 8),
        ("webhook_schemes", "https,http", ("https", "http")),
        ("webhook_networks", "10.0.0.0/8,fd00::/8", ("10.0.0.0/8", "fd00::/8")),
        ("webhook_retries_s", "1,2.5", (1.0, 2.5)),
        ("webhook_retries_s", "", ()),
    ],
)
def test_lists_are_json_or_separated_by_commas(
    name: str, value: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"WEIGHBRIDGE_{name.upper()}", value)
    assert getattr(Settings(), name) == expected


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("CONNECTIONS", "many", "WEIGHBRIDGE_CONNECTIONS=4"),
        ("CONNECTIONS", "0", "WEIGHBRIDGE_CONNECTIONS=4"),
        ("VIA", "carrier-pigeon", "WEIGHBRIDGE_VIA=direct"),
        ("TIMEOUT_S", "-1", "WEIGHBRIDGE_TIMEOUT_S=60.0"),
        ("TOKEN_PLACES", "{HF_TOKEN", "WEIGHBRIDGE_TOKEN_PLACES='{"),
        ("REGISTRIES", "[mlflow", "WEIGHBRIDGE_REGISTRIES=mlflow,export"),
        ("WEBHOOK_NETWORKS", "10.0.0.0/99", "WEIGHBRIDGE_WEBHOOK_NETWORKS=10.0.0.0/8"),
        ("WEBHOOK_RETRIES_S", "5,soon", "WEIGHBRIDGE_WEBHOOK_RETRIES_S=5,300"),
        ("WEBHOOK_RETRIES_S", "nan", "WEIGHBRIDGE_WEBHOOK_RETRIES_S=5,300"),
        ("JOB_RETENTION_DAYS", "inf", "WEIGHBRIDGE_JOB_RETENTION_DAYS=90.0"),
        ("SERVE_URL", "models.example.com", "WEIGHBRIDGE_SERVE_URL=https://models.example.com"),
        ("REGISTIRES", "mlflow", "WEIGHBRIDGE_REGISTRIES"),
        ("HOMES", "/srv", "WEIGHBRIDGE_HOME"),
    ],
)
def test_a_mistake_is_one_line_with_the_variable_and_an_example(
    name: str, value: str, example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(InvalidConfiguration) as caught:
        Settings()
    assert f"WEIGHBRIDGE_{name}" in str(caught.value)
    assert example in str(caught.value)
    assert app.run(["list"]) == 64
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert f"WEIGHBRIDGE_{name}" in said


def test_a_variable_of_another_program_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CMD", "weighbridge")
    monkeypatch.setenv("WEIGHBRIDGE_SOMETHING_ELSE", "1")
    assert Settings().registries == ("mlflow",)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example.com",
        "http://127.0.0.1.example.com",
        "login.example.com",
        "https://",
        "https://login.example.com?x",
        "https://login.example.com#x",
        "https://user:password@login.example.com",
        "https://[x",
        "file:///issuer",
    ],
)
def test_an_issuer_is_a_protected_address(issuer: str) -> None:
    with pytest.raises(InvalidConfiguration, match="WEIGHBRIDGE_ISSUER"):
        Settings(issuer=issuer, issuer_audiences=("a",), issuer_roles={"x": "reader"})


@pytest.mark.parametrize(
    ("more", "variable"),
    [
        ({"issuer_roles": {"x": "reader"}}, "WEIGHBRIDGE_ISSUER_AUDIENCES"),
        ({"issuer_audiences": ("a",)}, "WEIGHBRIDGE_ISSUER_ROLES"),
        ({"issuer_audiences": ("a",), "issuer_roles": {"x": "root"}}, "WEIGHBRIDGE_ISSUER_ROLES"),
        ({"issuer_audiences": ("a",), "issuer_roles": {"x": "admin"}, "issuer_role_claim": ""}, "_ROLE_CLAIM"),
    ],
)
def test_an_issuer_says_who_may_what(more: dict[str, Any], variable: str) -> None:
    with pytest.raises(InvalidConfiguration, match=variable):
        Settings(issuer="https://login.example.com", **more)
