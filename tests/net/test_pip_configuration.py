"""pip's files name the index that is asked, in pip's order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from weighbridge.errors import InvalidConfiguration
from weighbridge.net.pip_configuration import configured_index


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}


def put(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_later_files_and_narrower_sections_count(tmp_path: Path, environment: dict[str, str]) -> None:
    assert configured_index(environment) == ""
    put(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://all/simple\n")
    assert configured_index(environment) == "https://all/simple"
    put(tmp_path / "home/.config/pip/pip.conf", "[global]\nindex_url: https://user/simple?x=%20\ntimeout = 9\n")
    assert configured_index(environment) == "https://user/simple?x=%20"
    named = put(tmp_path / "named.conf", "[global]\nindex-url = https://named/simple\n")
    assert configured_index({**environment, "PIP_CONFIG_FILE": named}) == "https://named/simple"
    put(tmp_path / "home/.pip/pip.conf", "[install]\nindex-url = https://install/simple\n")
    assert configured_index(environment) == "https://install/simple"
    assert configured_index({**environment, "PIP_CONFIG_FILE": os.devnull}) == ""


@pytest.mark.parametrize("content", ["index-url = x\n", "[global\n", "\xff\xfe"])
def test_a_broken_file_does_not_lead_to_the_public_index(
    tmp_path: Path, environment: dict[str, str], content: str
) -> None:
    put(tmp_path / "home/.pip/pip.conf", "")
    (tmp_path / "home/.pip/pip.conf").write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidConfiguration, match="PIP_INDEX_URL"):
        configured_index(environment)
