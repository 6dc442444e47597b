from pathlib import Path

import pytest

from weighbridge.config.lock_file import read_lock, write_lock
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration

MANIFEST = Manifest(ModelRef.parse("hf:o/n@abc"), (FileEntry("a", 1, Digest.sha256(b"1")),))


def test_a_lock_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    write_lock(path, {"n": ("hf:o/n", MANIFEST)})
    assert read_lock(path) == {"n": ("hf:o/n", MANIFEST)}
    assert [file.name for file in tmp_path.iterdir()] == ["models.lock"]


def test_an_edited_lock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    write_lock(path, {"n": ("hf:o/n", MANIFEST)})
    path.write_text(path.read_text().replace("size: 1", "size: 2"))
    with pytest.raises(InvalidConfiguration, match="edited"):
        read_lock(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text("format: weighbridge.lock/9\nmodels: {}\n")
    with pytest.raises(InvalidConfiguration, match=":1: format"):
        read_lock(path)
