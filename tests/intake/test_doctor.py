"""The doctor asks what it ticks."""

from __future__ import annotations

from pathlib import Path

import pytest

from weighbridge.config.settings import Settings
from weighbridge.intake.doctor import examine


def test_a_server_that_nobody_listens_on_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings = Settings(
        home=tmp_path, mlflow_tracking_uri="http://user:pa55word@127.0.0.1:1", clamd="tcp://127.0.0.1:1"
    )
    found = {check.what: check for check in examine(settings)}
    assert (found["registry"].state, found["clamav"].state) == ("missing", "missing")
    assert "127.0.0.1:1" in found["registry"].found
    assert not any("pa55word" in repr(check) for check in found.values())


def test_an_embedded_registry_is_not_made_by_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    found = {check.what: check.state for check in examine(Settings(home=tmp_path / "home", clamd="tcp://127.0.0.1:1"))}
    assert (found["mlflow"], found["confinement"]) == ("ok", "ok")
    assert not (tmp_path / "home").exists()
