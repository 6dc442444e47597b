"""Blocks: every field explained, no secret shown, and each gives the values that the library takes."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from pydantic import SecretStr, ValidationError

import blocks
from blocks import (
    BlobStoreFolder,
    CatalogDatabase,
    ClamAVDaemon,
    HubCredentials,
    MLflowServer,
    load_block,
    load_settings,
)
from blocks.loading import SETTINGS_BLOCKS
from weighbridge.errors import InvalidConfiguration
from weighbridge.settings import Settings
from weighbridge.sources.interface import Auth

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
SHIPPED = [found for found in vars(blocks).values() if isinstance(found, type) and issubclass(found, Block)]
EXAMPLES: dict[type[Block], dict[str, Any]] = {
    HubCredentials: {"token": "hunter2"},
    MLflowServer: {"tracking_uri": "https://mlflow.example.org", "username": "gate", "password": "hunter2"},
    ClamAVDaemon: {"address": "tcp://clamav:3310"},
    BlobStoreFolder: {"folder": "/srv/blobs"},
    CatalogDatabase: {"url": "postgresql+psycopg://gate:hunter2@db/catalog"},
}


def test_the_package_imports_every_block() -> None:
    """`prefect block register -m blocks` sees only what blocks/__init__.py imports."""
    defined = set()
    for found in pkgutil.iter_modules(blocks.__path__):
        module = importlib.import_module(f"blocks.{found.name}")
        defined |= {
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Block) and kind.__module__ == module.__name__
        }
    assert set(SHIPPED) == defined == set(EXAMPLES)


@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.__name__)
def test_a_block_explains_itself(kind: type[Block]) -> None:
    fields = {name: field for name, field in kind.model_fields.items() if not name.startswith("_")}
    for name, field in fields.items():
        assert field.description, name
        assert field.title, name
    assert ">>>" in str(kind.__doc__)
    assert ".load(" in str(kind.__doc__)
    assert kind._description
    getters = [name for name in vars(kind) if name.startswith("get_") and name in ("get_auth", "get_settings")]
    assert len(getters) == 1


@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.__name__)
def test_a_block_shows_no_secret(kind: type[Block]) -> None:
    block = kind(**EXAMPLES[kind])
    assert "hunter2" not in repr(block) + str(block) + str(block.model_dump()) + block.model_dump_json()
    for name, field in kind.model_fields.items():
        if {"token", "password", "secret"} & set(name.split("_")):
            assert field.annotation is SecretStr


@pytest.mark.parametrize("kind", SETTINGS_BLOCKS.values(), ids=lambda kind: kind.__name__)
def test_settings_take_what_a_block_gives(kind: type[Any], tmp_path: Path) -> None:
    given = kind(**EXAMPLES[kind]).get_settings()
    settings = Settings(home=tmp_path, **given)
    assert given
    assert {name: getattr(settings, name) for name in given} == given


def test_what_blocks_give() -> None:
    assert HubCredentials(token=SecretStr(" hunter2\n")).get_auth() == Auth("hunter2")
    assert HubCredentials(token=SecretStr("KEY_ID:SECRET")).get_auth() == Auth("", "KEY_ID", "SECRET")
    assert MLflowServer(tracking_uri="https://a/b").get_settings() == {"mlflow_tracking_uri": "https://a/b"}
    server = MLflowServer(tracking_uri="https://a/b", username="u@x", password=SecretStr("p:/w"))
    assert server.get_settings() == {"mlflow_tracking_uri": "https://u%40x:p%3A%2Fw@a/b"}
    assert ClamAVDaemon(address="unix:/run/clamd").get_settings()["clamd"] == "unix:/run/clamd"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (MLflowServer, {"tracking_uri": "https://user:hunter2@host"}),
        (MLflowServer, {"tracking_uri": "sqlite:///mlflow.db"}),
        (MLflowServer, {"tracking_uri": "host:5000"}),
        (ClamAVDaemon, {"address": "clamav:3310"}),
        (ClamAVDaemon, {"address": "tcp://clamav"}),
        (ClamAVDaemon, {"address": "tcp://clamav:3310", "limit": 0}),
        (BlobStoreFolder, {"folder": "blobs"}),
        (CatalogDatabase, {"url": "sqlite:////x", "timeout_s": 0}),
        (HubCredentials, {}),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Block], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**fields)


@pytest.mark.usefixtures("prefect_harness")
class TestKept:
    """Blocks in a Prefect server."""

    def test_credentials_by_name(self) -> None:
        HubCredentials(token=SecretStr("hunter2")).save("own", overwrite=True)
        Secret(value="hunter3").save("shared", overwrite=True)  # type: ignore[arg-type]
        Secret(value="ID:KEY").save("pair", overwrite=True)  # type: ignore[arg-type]
        assert load_block("own") == load_block("hub-credentials/own") == Auth("hunter2")
        assert load_block("secret/shared") == Auth("hunter3")
        assert load_block("secret/pair", "s3") == Auth("", "ID", "KEY")

    def test_settings_by_name(self) -> None:
        CatalogDatabase(url=SecretStr("sqlite:////srv/catalog.db"), timeout_s=7).save("own", overwrite=True)
        ClamAVDaemon(address="tcp://clamav:3310").save("own", overwrite=True)
        given = load_settings({"catalog-database": "own", "clamav-daemon": "own", "mlflow-server": ""})
        assert given == {
            "catalog_url": "sqlite:////srv/catalog.db",
            "catalog_timeout_s": 7,
            "clamd": "tcp://clamav:3310",
            "clamd_limit": 25 * 1024**2,
        }
        assert load_settings({"mlflow-server": ""}) == {}

    @pytest.mark.parametrize("name", ["nobody", "secret/nobody", "clamav-daemon/own", "a/b/c", "/", ""])
    def test_what_holds_no_credentials_is_told(self, name: str) -> None:
        ClamAVDaemon(address="tcp://clamav:3310").save("own", overwrite=True)
        with pytest.raises(InvalidConfiguration) as caught:
            load_block(name)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None, "Prefect's own error may quote a secret"

    def test_the_server_gives_no_secret_back(self) -> None:
        """Stored encrypted; shown to a client only where it asks for secrets."""
        HubCredentials(token=SecretStr("hunter2")).save("shown", overwrite=True)
        with get_client(sync_client=True) as client:
            document = client.read_block_document_by_name("shown", "hub-credentials", include_secrets=False)
        assert "hunter2" not in document.model_dump_json()
