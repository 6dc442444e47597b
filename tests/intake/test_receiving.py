"""`weighbridge fetch`: in the store and verified, judged by nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.simulators.web import WebServer
from weighbridge.cli import app
from weighbridge.domain.digest import Digest
from weighbridge.store.local import LocalBlobStore

CONTENT = b"GGUF" + bytes(range(256)) * 64


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path))


def _fetch(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    status = app.run(["fetch", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_fetched_model_is_in_the_store_and_in_no_catalog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with WebServer() as web:
        url = web.put("/model.gguf", CONTENT)
        status, arrival = _fetch(capsys, url)
        assert (status, arrival["size"], arrival["unverified"]) == (0, len(CONTENT), ["model.gguf"])
        assert LocalBlobStore(tmp_path / "store").has(Digest.sha256(CONTENT))
        assert _fetch(capsys, url)[1]["unchanged"] is True
    assert app.run(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_is_not_as_promised_is_not_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with WebServer() as web:
        url = web.put("/model.gguf", CONTENT)
        wrong = Digest.sha256(b"other")
        assert _fetch(capsys, f"{url}#sha256={wrong.hex}")[0] == 1
        assert not LocalBlobStore(tmp_path / "store").has(Digest.sha256(CONTENT))
        status, said = _fetch(capsys, url, "--hash", str(wrong))
        assert (status, said["error"]["kind"]) == (1, "IntegrityError")  # type: ignore[index]


def test_a_person_is_told_what_came(capsys: pytest.CaptureFixture[str]) -> None:
    with WebServer() as web:
        assert app.run(["fetch", web.put("/model.gguf", CONTENT)]) == 0
    told = capsys.readouterr().out
    assert "model.gguf" in told
    assert "without a digest" in told
    assert Digest.sha256(CONTENT).hex[:16] in told
