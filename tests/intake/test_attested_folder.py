"""A folder against an attestation: what is missing, altered, or was added."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.intake.attested_place import Place, attested_place, failed, lay_out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attested_place(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the model's folder, to be changed."""
    return lay_out(tmp_path / "m")


def test_statements_for_other_files(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.bin").write_bytes(b"other")
    proof = place.verify(place.export().content, folder=tmp_path / "other")
    assert failed(proof) == ["missing", "extra"]
    assert proof.checks[-1].passed is None


def test_altered_files(place: Place, copy: Path) -> None:
    content = place.export().content
    (copy / "config.json").write_bytes(b"[]")
    assert failed(place.verify(content, folder=copy)) == ["altered"]
    (copy / "config.json").unlink()
    (copy / "config.json").mkdir()
    assert failed(place.verify(content, folder=copy)) == ["missing"]


def test_links_and_what_is_no_file(place: Place, copy: Path, tmp_path: Path) -> None:
    """A link to a file is read as loaders read it, as in a cache of the Hub; the rest is not the file."""
    content = place.export().content
    (tmp_path / "blob").write_bytes(b"{}")
    (copy / "config.json").unlink()
    (copy / "config.json").symlink_to(tmp_path / "blob")
    assert failed(place.verify(content, folder=copy)) == []
    (tmp_path / "blob").unlink()
    assert failed(place.verify(content, folder=copy)) == ["altered"]
    (copy / "config.json").unlink()
    os.mkfifo(copy / "config.json")
    assert failed(place.verify(content, folder=copy)) == ["altered"]
    (copy / "config.json").unlink()
    (copy / "config.json").write_bytes(b"{}")
    (copy / "more").symlink_to(tmp_path)
    (copy / os.fsdecode(b"\xff")).write_bytes(b"")
    proof = place.verify(content, folder=copy)
    assert (failed(proof), len(proof.checks[-2].paths)) == (["extra"], 2)
    json.dumps(proof.to_json()).encode()
