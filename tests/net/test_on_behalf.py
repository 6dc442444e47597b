"""What a run on behalf of others may name, and what its secrets are held to; the workspace asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.source_kinds import KINDS
from weighbridge.errors import AccessDenied, InvalidConfiguration, WeighbridgeError
from weighbridge.intake.asker import Asker
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import Workspace
from weighbridge.net.auth import Auth
from weighbridge.net.credentials import read_auth
from weighbridge.net.on_behalf import is_operators, limited, refuse_file, refuse_place
from weighbridge.store.local import LocalBlobStore

PLACES = {"MODELS_TOKEN": ("models.example",), "/run/secrets/models": ("models.example", "*.cdn.example")}
BLOCK = AuthPlace(block="secret/x")
WEB, FILE = ModelRef("url", "https://models.example/m.gguf"), ModelRef("file", "/etc/hostname")


class TestPlaces:
    @pytest.mark.parametrize(
        "place",
        [
            AuthPlace(),
            AuthPlace(token_env="MODELS_TOKEN"),
            AuthPlace(token_file="/run/secrets/models"),
            AuthPlace(block="anything"),
        ],
    )
    def test_what_is_set_aside(self, place: AuthPlace) -> None:
        refuse_place(place, PLACES)

    @pytest.mark.parametrize(
        "place",
        [
            AuthPlace(token_env="AWS_SECRET_ACCESS_KEY"),
            AuthPlace(token_env="models_token"),
            AuthPlace(token_file="/proc/self/environ"),
            AuthPlace(token_file="/run/secrets/../secrets/models"),
        ],
    )
    def test_anything_else_is_refused(self, place: AuthPlace) -> None:
        with pytest.raises(InvalidConfiguration, match="WEIGHBRIDGE_TOKEN_PLACES"):
            refuse_place(place, PLACES)

    def test_by_default_nothing_is(self) -> None:
        with pytest.raises(InvalidConfiguration, match='"HF_TOKEN"'):
            refuse_place(AuthPlace(token_env="HF_TOKEN"), Settings().token_places)

    def test_named_by_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEIGHBRIDGE_TOKEN_PLACES", '{"HF_TOKEN": ["huggingface.co"]}')
        assert Settings().token_places == {"HF_TOKEN": ("huggingface.co",)}
        monkeypatch.setenv("WEIGHBRIDGE_TOKEN_PLACES", '{"HF_TOKEN": []}')
        with pytest.raises(InvalidConfiguration, match="at least 1 item"):
            Settings()


class TestHosts:
    def test_a_place_is_for_its_hosts(self) -> None:
        place = AuthPlace(token_file="/run/secrets/models")
        auth = limited(Auth("abc"), place, "url", "", PLACES)
        assert auth.hosts == ("models.example", "*.cdn.example")
        assert auth.header("https://evil.example/") == ""

    @pytest.mark.parametrize("kind", sorted({*KINDS, "acme"} - {"bundle", "file", "mock"}))
    def test_a_block_without_a_host_goes_to_no_host_of_a_callers(self, kind: str) -> None:
        """A kind that is new to KINDS has to be thought about here."""
        if kind in ("huggingface", "huggingface-dataset", "git-xet", "pypi"):
            assert limited(Auth("abc"), BLOCK, kind, "", PLACES) == Auth("abc"), "its service is a setting's alone"
            return
        with pytest.raises(InvalidConfiguration, match="does not say which hosts"):
            limited(Auth("abc"), BLOCK, kind, "", PLACES)
        auth = limited(Auth("abc"), BLOCK, kind, "https://own.example:5000/x", PLACES)
        assert auth.hosts == ("own.example",)

    def test_a_block_with_a_host_says_so_itself(self) -> None:
        auth = Auth("abc", hosts=("a.example",))
        assert limited(auth, BLOCK, "url", "https://own.example", PLACES) == auth

    def test_a_block_takes_no_hosts_of_a_variables(self) -> None:
        with pytest.raises(InvalidConfiguration):
            limited(Auth("abc"), AuthPlace(block="MODELS_TOKEN"), "url", "", PLACES)

    def test_what_tools_read_by_themselves_stays_theirs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HF_TOKEN", "MLFLOW_TRACKING_TOKEN"):
            monkeypatch.setenv(name, "abc")
        place = AuthPlace()
        for kind in ("url", "git-lfs", "ollama", "s3", "pypi"):
            assert not limited(read_auth(place, kind), place, kind, "", PLACES)
        for endpoint, host in (("https://own.example/x", "own.example"), ("", "nowhere")):
            auth = limited(read_auth(place, "mlflow", endpoint), place, "mlflow", endpoint, PLACES)
            assert auth.hosts == (host,)
            assert auth.header("https://evil.example") == ""


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A working folder, with state of Weighbridge's in it, as `make` has it."""
        folder = tmp_path / "work"
        (folder / ".weighbridge" / "export").mkdir(parents=True)
        for path in ("models.yaml", ".weighbridge/export/models.yaml", ".env", "../secret.yaml"):
            (folder / path).write_text("models: []\n")
        (folder / "config.yaml").symlink_to(folder / ".weighbridge" / "export" / "models.yaml")
        return folder

    @pytest.mark.parametrize("path", ["models.yaml", "./models.yaml", "config.yaml", "{}/models.yaml", "none.yml"])
    def test_the_operators(self, folder: Path, path: str) -> None:
        found = Path(path.format(folder))
        assert is_operators(found, folder)
        refuse_file(found, folder)

    @pytest.mark.parametrize(
        "path",
        [
            ".weighbridge/export/models.yaml",
            "../secret.yaml",
            "{}/../secret.yaml",
            "models.yaml/../../secret.yaml",
            ".env",
            "/etc/passwd",
            "/proc/self/environ",
            ".",
            "",
        ],
    )
    def test_all_others(self, folder: Path, path: str) -> None:
        found = Path(path.format(folder))
        assert not is_operators(found, folder)
        with pytest.raises(InvalidConfiguration, match="may not read"):
            refuse_file(found, folder)

    def test_a_folder_for_others(self, folder: Path) -> None:
        roots = ((folder / ".weighbridge" / "export").resolve(),)
        refuse_file(Path(".weighbridge/export/models.yaml"), folder, roots)
        for path in ("../secret.yaml", ".weighbridge/export/../../../secret.yaml"):
            with pytest.raises(InvalidConfiguration):
                refuse_file(Path(path), folder, roots)
        (folder / ".weighbridge" / "export" / "out.yaml").symlink_to(folder.parent / "secret.yaml")
        with pytest.raises(InvalidConfiguration):
            refuse_file(Path(".weighbridge/export/out.yaml"), folder, roots)


class TestWorkspace:
    @pytest.fixture
    def catalog(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
        monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("SOME_SECRET", "hunter2")
        with open_catalog(Settings()) as found:
            yield found

    @staticmethod
    def workspace(catalog: Catalog, store: LocalBlobStore, folder: Path, **whose: bool) -> Workspace:
        asker = Asker(folder=folder, load_block=lambda name, kind: Auth("abc"), **whose)
        return Workspace(Resources(Settings(), store, catalog), asker)

    def test_a_strangers(self, catalog: Catalog, store: LocalBlobStore, tmp_path: Path) -> None:
        workspace = self.workspace(catalog, store, tmp_path, on_behalf=True)
        for place in (AuthPlace(token_env="SOME_SECRET"), AuthPlace(token_file="/etc/hostname"), BLOCK):
            with pytest.raises(InvalidConfiguration):
                workspace.source(WEB, place)
        with pytest.raises(AccessDenied):
            workspace.source(FILE, AuthPlace()).resolve(ModelRef.parse("file:/etc/hostname"))
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "policy.yaml").write_text("extends: none\n")
        for policy in ("elsewhere/policy.yaml", str(tmp_path / "elsewhere" / "policy.yaml")):
            with pytest.raises(InvalidConfiguration, match=r"Presets: .*strict"):
                workspace.policy(IngestRequest(ModelRef.parse("mock:a/b"), policy=policy))
        assert workspace.policy(IngestRequest(ModelRef.parse("mock:a/b"), policy="strict")).name == "strict"
        with pytest.raises(InvalidConfiguration):
            workspace.entries("elsewhere/models.yaml")

    def test_the_operators_own_file(self, catalog: Catalog, store: LocalBlobStore, tmp_path: Path) -> None:
        """Places and folders are its word; addresses are not, as redirects are a stranger's."""
        workspace = self.workspace(catalog, store, tmp_path, on_behalf=True, vouched=True)
        for place in (AuthPlace(token_env="SOME_SECRET"), BLOCK):
            assert workspace.source(WEB, place)
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("{}")
        assert workspace.source(FILE, AuthPlace()).resolve(ModelRef.parse(f"file:{tmp_path / 'model'}"))
        with pytest.raises(WeighbridgeError, match="not a public address"):
            workspace.source(WEB, AuthPlace()).resolve(ModelRef.parse("http://127.0.0.1:9/f"))

    def test_ones_own(self, catalog: Catalog, store: LocalBlobStore, tmp_path: Path) -> None:
        workspace = self.workspace(catalog, store, tmp_path)
        assert workspace.source(WEB, AuthPlace(token_env="SOME_SECRET"))
        (tmp_path / "elsewhere.yml").write_text("models: [{source: mock:a/b}]\n")
        assert [entry.key for entry in workspace.entries(str(tmp_path / "elsewhere.yml"))] == ["a/b"]
