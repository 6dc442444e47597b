import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from weighbridge.config.lock_file import read_lock, read_mended, write_lock
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


def test_a_lock_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "models.lock").mkdir()
    with pytest.raises(OSError, match="irectory"):
        write_lock(tmp_path / "models.lock", {"n": ("hf:o/n", MANIFEST)})
    assert [path.name for path in tmp_path.iterdir()] == ["models.lock"]


def test_an_edited_lock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    write_lock(path, {"n": ("hf:o/n", MANIFEST)})
    path.write_text(path.read_text().replace("size: 1", "size: 2"))
    with pytest.raises(InvalidConfiguration, match="edited"):
        read_lock(path)


def test_relative_paths_stay_relative_wherever_the_checkout_is(tmp_path: Path) -> None:
    one, other = tmp_path / "one" / "team", tmp_path / "other" / "team"
    for folder in (one, other):
        folder.mkdir(parents=True)
    manifest = replace(MANIFEST, ref=ModelRef("file", str(one / "m"), "", (("root", str(tmp_path / "one")),)))
    write_lock(one / "models.lock", {"n": (manifest.ref.uri, manifest), "k": (manifest.ref.uri, manifest)}, {"n"})
    text = (one / "models.lock").read_text()
    assert text.count(str(tmp_path)) == 4  # those of k only
    (other / "models.lock").write_text(text)
    uri, _ = read_lock(other / "models.lock")["n"]
    assert uri == f"file:{other}/m?root={tmp_path}/other"
    assert read_lock(other / "models.lock")["k"][0] == manifest.ref.uri


class TestMergeConflicts:
    """Two branches changed the lock; git left both in it."""

    OTHER = Manifest(MANIFEST.ref, (FileEntry("a", 1, Digest.sha256(b"2")),))
    LAST = Manifest(MANIFEST.ref, (FileEntry("z", 1, Digest.sha256(b"3")),))

    def conflict(self, tmp_path: Path, *, base: bool = False) -> Path:
        both = []
        for manifest, name in ((MANIFEST, "ours"), (self.OTHER, "theirs")):
            path = tmp_path / name
            write_lock(path, {"a": ("hf:o/a", manifest), "k": ("hf:o/k", self.LAST), name: ("hf:o/x", self.LAST)})
            both.append(path)
        options = ["--diff3"] if base else []
        empty = tmp_path / "base"
        write_lock(empty, {"a": ("hf:o/a", self.LAST), "k": ("hf:o/k", self.LAST)})
        command = ["git", "merge-file", "-p", *options, str(both[0]), str(empty), str(both[1])]
        merged = tmp_path / "models.lock"
        merged.write_bytes(subprocess.run(command, capture_output=True, check=False).stdout)
        assert "<<<<<<<" in merged.read_text()
        return merged

    def test_it_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidConfiguration, match=r"models\.lock:\d+ holds the marks of a merge conflict"):
            read_lock(self.conflict(tmp_path))

    @pytest.mark.parametrize("base", [False, True])
    def test_what_both_have_alike_is_kept(self, tmp_path: Path, base: bool) -> None:
        kept = read_mended(self.conflict(tmp_path, base=base), {"a"})
        assert set(kept) == {"k", "ours", "theirs"}
        assert kept["k"] == ("hf:o/k", self.LAST)

    def test_what_they_disagree_about_has_to_be_locked_too(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidConfiguration, match=r"disagree about a too.*--only k,a"):
            read_mended(self.conflict(tmp_path), {"k"})


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text("format: weighbridge.lock/9\nmodels: {}\n")
    with pytest.raises(InvalidConfiguration, match=":1: format"):
        read_lock(path)
