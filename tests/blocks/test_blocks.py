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
    GitCredentials,
    HubCredentials,
    IndexCredentials,
    MLflowCredentials,
    MLflowServer,
    RegistryCredentials,
    S3Credentials,
    WebCredentials,
    load_block,
    load_settings,
)
from blocks.credentials import Credentials, HostCredentials
from blocks.loading import CREDENTIALS, SETTINGS_BLOCKS
from tests.sources.shelf import SHELF
from weighbridge.config.settings import Settings
from weighbridge.domain.source_kinds import KINDS
from weighbridge.errors import InvalidConfiguration
from weighbridge.net.auth import Auth
from weighbridge.net.s3.hosts import AWS_HOSTS

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
SHIPPED = [found for found in vars(blocks).values() if isinstance(found, type) and issubclass(found, Block)]
HELD = {"host": "models.example.org", "username": "gate", "password": "hunter2"}
#: Source kind to the type of block that holds its credentials.
OF_KINDS = {name: CREDENTIALS[kind.block] for name, kind in KINDS.items() if kind.block}
OF_A_HOST = [kind for kind in SHIPPED if issubclass(kind, HostCredentials)]
EXAMPLES: dict[type[Block], dict[str, Any]] = {
    HubCredentials: {"token": "hunter2"},
    S3Credentials: {"access_key_id": "AKIA", "secret_access_key": "hunter2", "session_token": "hunter2-session"},
    GitCredentials: {"host": "git.example.org", "token": "hunter2"},
    IndexCredentials: HELD,
    MLflowCredentials: HELD,
    RegistryCredentials: HELD | {"realm_host": "login.example.org"},
    WebCredentials: {"host": "*.example.org", "token": "hunter2"},
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
            if kind not in (Credentials, HostCredentials)
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
    assert len([name for name in ("get_auth", "get_settings") if hasattr(kind, name)]) == 1


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
    keys = S3Credentials(access_key_id="ID", secret_access_key=SecretStr("SECRET"), session_token=SecretStr("SESSION"))
    assert keys.get_auth() == Auth("SESSION", "ID", "SECRET", AWS_HOSTS)
    registry = RegistryCredentials(host="a", username="u", password=SecretStr("p"), realm_host="b")
    assert registry.get_auth() == Auth("", "u", "p", ("a", "b"))
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
        (HubCredentials, {"token": ""}),
        (HubCredentials, {"token": "hunter2\nhunter2"}),
        (HubCredentials, {"token": ["hunter2"]}),
        (S3Credentials, {"access_key_id": "AKIA", "secret_access_key": ""}),
        (S3Credentials, {"access_key_id": "AKIA", "secret_access_key": "hunter2", "host": "https://hunter2"}),
        (S3Credentials, {"access_key_id": "AKIA", "secret_acess_key": "hunter2"}),
        (CatalogDatabase, {"url": ["hunter2"]}),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Block], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**fields)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", OF_A_HOST, ids=lambda kind: kind.__name__)
class TestOfAHost:
    """Whoever names such a block chooses an address, too: it says itself where it may go."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"token": "hunter2"},
            {"host": "", "token": "hunter2"},
            {"host": "*", "token": "hunter2"},
            {"host": "*.org", "token": "hunter2"},
            {"host": "https://a.org", "token": "hunter2"},
            {"host": "a.org:443", "token": "hunter2"},
            {"host": "a.org/x", "token": "hunter2"},
            {"host": "a.org"},
            {"host": "a.org", "token": "hunter2", "username": "gate", "password": "hunter2"},
            {"host": "a.org", "token": "hunter2", "password": "hunter2"},
            {"host": "a.org", "password": "hunter2"},
            {"host": "a.org", "username": "ga:te", "password": "hunter2"},
            {"host": "a.org", "username": "gate", "password": "hunter2\r\nX: y"},
            {"host": "a.org", "username": "gate", "pasword": "hunter2"},
        ],
        ids=repr,
    )
    def test_what_cannot_be_is_refused(self, kind: type[HostCredentials], fields: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as caught:
            kind(**fields)
        assert "hunter2" not in str(caught.value)

    def test_it_goes_to_its_host_only(self, kind: type[HostCredentials]) -> None:
        auth = kind(host="*.Example.org", token=SecretStr("hunter2\n")).get_auth()
        assert auth.header("https://a.example.org/x") == auth.header("http://B.EXAMPLE.ORG:81/") == "Bearer hunter2"
        for other in ("https://example.org/", "https://example.org.evil.com/", "https://evil.com/?.example.org", ""):
            assert auth.header(other) == ""
        user = kind(host="::1", username="gate", password=SecretStr("p")).get_auth()
        assert user.header("http://[::1]:8000/") == "Basic Z2F0ZTpw"


def test_every_source_kind_has_a_block() -> None:
    assert set(OF_KINDS) | {"bundle", "file", "mock"} == set(KINDS)
    assert set(OF_KINDS.values()) == set(CREDENTIALS.values())
    assert set(CREDENTIALS.values()) == {kind for kind in SHIPPED if issubclass(kind, Credentials)}


@pytest.mark.usefixtures("prefect_harness")
class TestKept:
    """Blocks in a Prefect server."""

    def test_credentials_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for number, kind in enumerate(CREDENTIALS.values()):
            fields = {"token": f"hunter{number}"} if kind is not S3Credentials else EXAMPLES[kind]
            kind(**fields | ({"host": "a.org"} if issubclass(kind, HostCredentials) else {})).save(
                "own", overwrite=True
            )
        expected = {name: kind.load("own").get_auth() for name, kind in OF_KINDS.items()}
        assert {kind: load_block("own", kind) for kind in OF_KINDS} == expected
        assert len(set(expected.values())) == len(CREDENTIALS)
        assert load_block("own", "acme") == load_block("own", "url"), "a source that another package brings"
        monkeypatch.setitem(KINDS, SHELF.name, SHELF)
        assert load_block("own", "shelf") == load_block("own", "huggingface"), "its record names the Hub's block"
        assert load_block("git-credentials/own", "url") == load_block("own", "git-lfs")
        assert load_block("hub-credentials/own", "git-xet") == load_block("own", "huggingface")
        Secret(value="hunter3").save("shared", overwrite=True)  # type: ignore[arg-type]
        Secret(value="ID:KEY").save("pair", overwrite=True)  # type: ignore[arg-type]
        assert load_block("secret/shared", "huggingface") == Auth("hunter3")
        assert load_block("secret/pair", "s3") == Auth("", "ID", "KEY")

    @pytest.mark.parametrize(
        ("name", "kind", "words"),
        [
            ("hub-credentials/own", "url", "web-credentials, git-credentials"),
            ("hub-credentials/own", "s3", "the type s3-credentials;"),
            ("web-credentials/own", "huggingface", "the type hub-credentials;"),
            ("own", "file", "takes no credentials"),
            ("secret/whole", "url", "holds no text"),
        ],
    )
    def test_what_fits_is_said(self, name: str, kind: str, words: str) -> None:
        Secret(value={"token": "hunter2"}).save("whole", overwrite=True)  # type: ignore[arg-type]
        with pytest.raises(InvalidConfiguration) as caught:
            load_block(name, kind)
        assert words in str(caught.value)
        assert "hunter2" not in str(caught.value)

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
            load_block(name, "huggingface")
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None, "Prefect's own error may quote a secret"

    def test_the_server_gives_no_secret_back(self) -> None:
        """Stored encrypted; shown to a client only where it asks for secrets."""
        HubCredentials(token=SecretStr("hunter2")).save("shown", overwrite=True)
        with get_client(sync_client=True) as client:
            document = client.read_block_document_by_name("shown", "hub-credentials", include_secrets=False)
        assert "hunter2" not in document.model_dump_json()
