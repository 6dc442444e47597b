"""The operator's secret of webhooks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weighbridge.config.settings import Settings
from weighbridge.config.webhook_secret import FILE, signing_key
from weighbridge.errors import InvalidConfiguration


def test_a_file_is_made_once_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        keys = {key.secret for key in pool.map(lambda _: signing_key(settings), range(16))}
    assert len(keys) == 1
    path = tmp_path / "home" / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 64


def test_the_setting_counts_before_the_file(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, webhook_secret="x" * 24)
    assert signing_key(settings).secret == b"x" * 24
    assert not (tmp_path / FILE).exists()
    assert "x" * 24 not in repr(settings)
    with pytest.raises(InvalidConfiguration, match="WEBHOOK_SECRET") as caught:
        Settings(webhook_secret="hunter2")
    assert "hunter2" not in str(caught.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(InvalidConfiguration, match="empty"):
        signing_key(Settings(home=tmp_path))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(InvalidConfiguration, match="webhook-secret"):
        signing_key(Settings(home=tmp_path / "home"))
