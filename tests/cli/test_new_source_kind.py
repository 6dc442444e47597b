"""Adding a source is one file and one line: a kind made for this test takes a model in by every way that ours have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.cli.conftest import SHIPPED, Bench
from tests.simulators.web import WebServer
from tests.sources.shelf import PLAIN, SHELF
from weighbridge.config.settings import Settings
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import KINDS
from weighbridge.sources import SourceSettings, open_source


@pytest.fixture
def library() -> Iterator[WebServer]:
    """A library with two editions of one model."""
    files = [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in SHIPPED.items()
    ]
    with WebServer() as web:
        for edition in ("3", "newest"):
            web.put(f"/team/name/{edition}/index.json", json.dumps({"edition": 3, "files": files}).encode())
            for path, content in SHIPPED.items():
                web.put(f"/team/name/{edition}/{path}", content)
        yield web


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, library: WebServer) -> None:
    """Add the line, and set the variables that the record names."""
    monkeypatch.setitem(KINDS, SHELF.name, SHELF)
    monkeypatch.setenv("SHELF_URL", library.url(""))
    monkeypatch.setenv("SHELF_TOKEN", "s3cret-token")


def _authorizations(library: WebServer) -> set[str]:
    return {request.headers.get("authorization", "") for request in library.requests}


@pytest.mark.usefixtures("shelf")
class TestWholeRecord:
    def test_a_uri(self, bench: Bench, library: WebServer) -> None:
        version = bench.run("ingest", "shelf:team/name", "--json").json
        assert (version["name"], version["status"], version["source"]) == ("name", "PASSED", "shelf:team/name@3")
        assert {file["path"] for file in version["files"]} == set(SHIPPED)
        assert _authorizations(library) == {"Bearer s3cret-token"}
        assert ModelRef.parse(version["source"]).page == "https://shelf.example/team/name/3"

    def test_models_yaml_and_models_lock(self, bench: Bench, library: WebServer) -> None:
        (bench.folder / "models.yaml").write_text(
            "sources: {ours: {shelf: {edition: 3}}}\n"
            "models:\n"
            f"  - source: {{shelf: {{title: team/name, library: '{library.url('')}'}}}}\n"
            "  - {name: third, source: {use: ours, title: team/name}}\n"
        )
        assert bench.run("lock").status == 0
        done = bench.run("sync", "--locked", "--json").json
        assert {(one["name"], one["status"]) for one in done["ingested"]} == {("name", "PASSED"), ("third", "PASSED")}

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("{shelf: {edition: 3}}", "models.yaml:1: models.0.source.shelf.title: Field required"),
            (
                "{shelf: {title: a/b, isbn: 1}}",
                "shelf has no such option; it has files, exclude, title, edition, library",
            ),
            ("{shelf: {title: name}}", "“name” is no title: write team/name"),
            (
                "{desk: {title: name}}",
                "known ones are file, git-lfs, git-xet, huggingface, mlflow, mock, ollama, pypi, s3, shelf",
            ),
        ],
    )
    def test_mistakes_in_models_yaml(self, bench: Bench, source: str, told: str) -> None:
        (bench.folder / "models.yaml").write_text(f"models: [{{source: {source}}}]\n")
        assert told in " ".join(bench.run("lock").err.split())

    def test_its_credentials_go_to_the_configured_server_only(self, bench: Bench, library: WebServer) -> None:
        elsewhere = library.url("", host="localhost")
        assert bench.run("fetch", f"shelf:team/name?library={elsewhere}").status == 0
        assert _authorizations(library) == {""}

    def test_named_credentials(self, bench: Bench, library: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTHER_TOKEN", "another")
        assert bench.run("fetch", "shelf:team/name", "--token-env", "OTHER_TOKEN").status == 0
        assert _authorizations(library) == {"Bearer another"}

    def test_a_model_at_another_library_is_another_model(self) -> None:
        one, other = (ModelRef.parse(f"shelf:team/name{query}") for query in ("", "?library=http://h"))
        assert one.origin != other.origin
        assert one.pinned("3").origin == one.origin

    def test_messages_name_it(self, bench: Bench) -> None:
        assert "mock:, shelf:." in " ".join(bench.run("fetch", "desk:team/name").err.split())


def test_a_record_of_name_scheme_and_adapter_is_enough(
    bench: Bench, library: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, PLAIN.name, PLAIN)
    address = library.url("")
    version = bench.run("ingest", f"shelf:team/name@3?library={address}", "--json").json
    assert (version["name"], version["status"]) == ("team/name", "PASSED")
    (bench.folder / "models.yaml").write_text(
        f"models: [{{name: again, source: {{shelf: {{id: team/name, library: '{address}'}}}}}}]\n"
    )
    assert [one["name"] for one in bench.run("sync", "--json").json["ingested"]] == ["again"]
    assert Settings().endpoint("shelf") == ""


def test_without_the_line_nothing_serves_it(bench: Bench) -> None:
    assert "No source serves “shelf:”" in bench.run("fetch", "shelf:team/name").err
    with pytest.raises(Exception, match="There is no source “shelf”"):
        open_source("shelf", SourceSettings())
