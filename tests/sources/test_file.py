from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import AccessDenied, InvalidReference, ModelNotFound, SourceError, SourceMisbehaved, UnsafePath
from weighbridge.intake.fetching import fetch
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.file import FileSource
from weighbridge.store.local import LocalBlobStore

SOURCE = FileSource(SourceSettings())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "onnx" / "model.onnx").write_bytes(b"x" * 5000)
    return folder


def resolve(path: Path, **options: str) -> Manifest:
    return SOURCE.resolve(ModelRef("file", str(path), "", tuple(options.items())))


def paths(manifest: Manifest) -> list[str]:
    return [entry.path for entry in manifest.files]


def read(manifest: Manifest, path: str, offset: int = 0) -> bytes:
    with SOURCE.open(manifest.ref, manifest.by_path[path], offset) as stream:
        return b"".join(stream.chunks)


def test_a_folder_and_everything_below(model: Path) -> None:
    manifest = resolve(model)
    assert [(entry.path, entry.size) for entry in manifest.files] == [("config.json", 2), ("onnx/model.onnx", 5000)]
    assert read(manifest, "onnx/model.onnx", 4990) == b"x" * 10


def test_one_file(model: Path) -> None:
    manifest = resolve(model / "onnx" / "model.onnx")
    assert paths(manifest) == ["model.onnx"]
    assert read(manifest, "model.onnx") == b"x" * 5000


def test_a_relative_path_is_pinned_to_an_absolute_one(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    assert SOURCE.resolve(ModelRef.parse("file:model")).ref.id == str(model)


def test_an_unchanged_folder_resolves_to_the_same_without_reading(model: Path) -> None:
    first = resolve(model)
    (model / "config.json").chmod(0o000)
    assert paths(resolve(model)) == paths(first)
    (model / "config.json").chmod(0o644)
    again = resolve(model)
    assert resolve(model).fingerprint == again.fingerprint != ""


@pytest.mark.parametrize("change", ["content", "name", "another"])
def test_a_change_is_seen(model: Path, change: str) -> None:
    before = resolve(model)
    if change == "content":  # of the same length, and with the clock of the file turned back
        status = (model / "config.json").stat()
        (model / "config.json").write_text("[]")
        os.utime(model / "config.json", ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "name":
        (model / "config.json").rename(model / "configuration.json")
    else:
        (model / "more").touch()
    after = resolve(model)
    assert after.ref.revision != before.ref.revision
    assert after.fingerprint != before.fingerprint


def test_fetching_an_unchanged_file_again_reads_nothing(
    model: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = resolve(model)
    entry = fetch(SOURCE, manifest.ref, manifest.by_path["onnx/model.onnx"], store)
    assert entry.digest == Digest.sha256(b"x" * 5000)
    (model / "onnx" / "model.onnx").unlink()
    assert fetch(SOURCE, manifest.ref, manifest.by_path["onnx/model.onnx"], store) == entry


def test_reading_a_small_file_takes_little_memory(model: Path) -> None:
    manifest = resolve(model)
    tracemalloc.start()
    try:
        read(manifest, "config.json")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


class TestChanges:
    def test_between_resolving_and_reading(self, model: Path) -> None:
        manifest = resolve(model)
        (model / "config.json").write_text("[]")
        with pytest.raises(SourceMisbehaved, match="was changed"):
            read(manifest, "config.json")

    def test_while_reading(self, model: Path, store: LocalBlobStore) -> None:
        big = model / "big.bin"
        big.write_bytes(bytes(9_000_000))
        manifest = resolve(model)
        with SOURCE.open(manifest.ref, manifest.by_path["big.bin"]) as stream:
            next(stream.chunks)
            with big.open("r+b") as file:
                file.write(b"changed")
            with pytest.raises(SourceMisbehaved, match="was changed"):
                list(stream.chunks)

    def test_removed(self, model: Path) -> None:
        manifest = resolve(model)
        (model / "config.json").unlink()
        with pytest.raises(ModelNotFound):
            read(manifest, "config.json")

    def test_replaced_by_a_link_to_a_secret(self, model: Path, tmp_path: Path) -> None:
        manifest = resolve(model)
        (tmp_path / "secret").write_text("{}")
        (model / "config.json").unlink()
        (model / "config.json").symlink_to(tmp_path / "secret")
        with pytest.raises(UnsafePath):
            read(manifest, "config.json")


class TestLinks:
    def test_inside_the_folder_is_read_as_a_file(self, model: Path) -> None:
        (model / "copy.onnx").symlink_to("onnx/model.onnx")
        assert read(resolve(model), "copy.onnx") == b"x" * 5000

    @pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "onnx/../../secret"])
    def test_out_of_the_folder_is_refused(self, model: Path, target: str) -> None:
        (model.parent / "secret").write_text("secret")
        (model / "link").symlink_to(target)
        with pytest.raises(UnsafePath, match="root="):
            resolve(model)

    def test_out_of_the_folder_below_the_root_is_read(self, model: Path) -> None:
        (model.parent / "shared").mkdir()
        (model.parent / "shared" / "weights").write_text("w")
        (model / "link").symlink_to("../shared/weights")
        assert read(resolve(model, root=str(model.parent / "shared")), "link") == b"w"

    @pytest.mark.parametrize("target", ["onnx", ".", ".."])
    def test_to_a_folder_is_refused(self, model: Path, target: str) -> None:
        (model / "link").symlink_to(target)
        with pytest.raises(UnsafePath):
            resolve(model)

    def test_that_dangles_or_circles(self, model: Path) -> None:
        (model / "link").symlink_to("nothing")
        with pytest.raises(UnsafePath, match=r"link is a link to nothing, which does not exist"):
            resolve(model)
        (model / "link").unlink()
        (model / "link").symlink_to("link")
        with pytest.raises(SourceError):
            resolve(model)

    def test_the_path_itself_may_be_one(self, model: Path) -> None:
        (model.parent / "current").symlink_to("model")
        (model.parent / "weights.onnx").symlink_to("model/onnx/model.onnx")
        assert paths(resolve(model.parent / "current")) == paths(resolve(model))
        manifest = resolve(model.parent / "weights.onnx")
        assert read(manifest, "weights.onnx") == b"x" * 5000

    def test_a_snapshot_in_a_hugging_face_cache(self, tmp_path: Path) -> None:
        repo = tmp_path / "hub" / "models--org--name"
        snapshot = repo / "snapshots" / ("a" * 40)
        (repo / "blobs").mkdir(parents=True)
        (repo / "blobs" / "1234").write_text("weights")
        (snapshot / "onnx").mkdir(parents=True)
        (snapshot / "model.bin").symlink_to("../../blobs/1234")
        (snapshot / "onnx" / "model.onnx").symlink_to("../../../blobs/1234")
        manifest = resolve(snapshot)
        assert paths(manifest) == ["model.bin", "onnx/model.onnx"]
        assert read(manifest, "model.bin") == b"weights"
        (snapshot / "stolen").symlink_to("../../../secret")
        (tmp_path / "hub" / "secret").write_text("secret")
        with pytest.raises(UnsafePath):
            resolve(snapshot)


def test_pipes_and_sockets_are_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(UnsafePath, match="pipe"):
        resolve(model)
    with pytest.raises(UnsafePath, match="pipe"):
        resolve(model / "pipe")
    (model / "pipe").unlink()
    monkeypatch.chdir(model)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        with pytest.raises(UnsafePath):
            resolve(model)


def test_what_tools_leave_behind_is_no_part_of_the_model(model: Path) -> None:
    before = paths(resolve(model))
    for name in (".git/config", ".cache/huggingface/x", "onnx/.DS_Store", "__pycache__/a.pyc", "._config.json"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("junk")
    found = resolve(model)
    assert paths(found) == before
    assert [line.split(":")[0] for line in found.left_out] == [
        *("._config.json", ".cache", ".git", "__pycache__", "onnx/.DS_Store"),
    ]
    kept = FileSource(SourceSettings()).resolve(ModelRef("file", str(model), options=(("litter", "keep"),)))
    assert set(paths(kept)) > {"._config.json", ".cache/huggingface/x", ".git/config", *before}
    assert kept.left_out == ()
    with pytest.raises(InvalidReference, match="litter"):
        FileSource(SourceSettings()).resolve(ModelRef("file", str(model), options=(("litter", "no"),)))
    (model / ".gitattributes").write_text("")
    assert ".gitattributes" in paths(resolve(model))


class TestRefusals:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound):
            resolve(tmp_path / "nothing")
        with pytest.raises(ModelNotFound, match="holds no files"):
            resolve(tmp_path)

    @pytest.mark.parametrize("name", [b"a\nb", b"a\\b", b"caf\xe9"])
    def test_names_that_are_not_safe(self, model: Path, name: bytes) -> None:
        Path(os.fsdecode(os.path.join(os.fsencode(model), name))).write_text("x")
        with pytest.raises(UnsafePath, match="exclude"):
            resolve(model)
        assert resolve(model, exclude="caf?" if name.startswith(b"caf") else "a?b").files

    @pytest.mark.parametrize("name", ["Config.json", "nul.txt", "a:b", "C1_or_C2?"])
    def test_names_that_windows_cannot_hold_are_names(self, model: Path, name: str) -> None:
        (model / name).write_text("{}")
        assert name in resolve(model).by_path

    def test_what_is_excluded_is_not_looked_at(self, model: Path) -> None:
        (model / "out").symlink_to("/etc/hostname")
        (model / "sub").mkdir()
        os.mkfifo(model / "sub" / "pipe")
        with pytest.raises(UnsafePath, match="exclude"):
            resolve(model)
        ref = ModelRef("file", str(model), "", (("exclude", "out"), ("exclude", "sub/")))
        assert "config.json" in SOURCE.resolve(ref).by_path

    def test_too_many_or_too_large(self, model: Path) -> None:
        ref = ModelRef("file", str(model))
        for settings in (SourceSettings(max_files=1), SourceSettings(max_size=100)):
            with pytest.raises(SourceError, match="more than"):
                FileSource(settings).resolve(ref)

    @pytest.mark.parametrize("uri", ["file:/a%00b", "file:~nobody-of-this-name/model", "file:/etc?root=/a%00b"])
    def test_what_is_no_path(self, uri: str) -> None:
        with pytest.raises(InvalidReference):
            SOURCE.resolve(ModelRef.parse(uri))

    def test_an_unknown_option(self, model: Path) -> None:
        with pytest.raises(InvalidReference, match="Known ones: exclude, files, litter, root"):
            resolve(model, follow="yes")

    @pytest.mark.parametrize("given", ["{}", "{}/config.json", "{}/../model", "{}-linked", "{}?root=/"])
    def test_outside_of_the_roots_nothing_is_read(self, model: Path, given: str) -> None:
        (model.parent / "model-linked").symlink_to(model)
        (model / "link").symlink_to("/etc/hostname")
        source = FileSource(SourceSettings(file_roots=((model.parent / "others"),)))
        with pytest.raises(AccessDenied, match="WEIGHBRIDGE_FILE_ROOTS"):
            source.resolve(ModelRef.parse(f"file:{given.format(model)}"))
        with pytest.raises(AccessDenied, match="WEIGHBRIDGE_FILE_ROOTS"):
            FileSource(SourceSettings(file_roots=())).resolve(ModelRef.parse("file:/proc/self/environ"))

    def test_what_is_not_there_is_not_told_outside_of_the_roots(self, model: Path) -> None:
        source = FileSource(SourceSettings(file_roots=(model,)))
        with pytest.raises(ModelNotFound):
            source.resolve(ModelRef("file", str(model / "none")))
        with pytest.raises(AccessDenied):
            source.resolve(ModelRef("file", str(model.parent / "none")))

    @pytest.mark.parametrize("options", ["", "?root=/"])
    def test_no_link_leads_out_of_the_roots(self, model: Path, options: str) -> None:
        source = FileSource(SourceSettings(file_roots=(model.parent.resolve(),)))
        ref = ModelRef.parse(f"file:{model}{options}")
        assert paths(source.resolve(ref)) == ["config.json", "onnx/model.onnx"]
        (model / "link").symlink_to("/etc/hostname")
        with pytest.raises(UnsafePath, match="leads out of the model"):
            source.resolve(ref)

    def test_a_folder_that_becomes_a_link(self, model: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Between the listing and the reading."""
        source = FileSource(SourceSettings(file_roots=(model.parent.resolve(),)))
        manifest = source.resolve(ModelRef("file", str(model)))
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "config.json").write_text("[]")
        model.rename(model.parent / "before")
        model.symlink_to(elsewhere)
        with (
            pytest.raises(AccessDenied, match="WEIGHBRIDGE_FILE_ROOTS"),
            source.open(manifest.ref, manifest.by_path["config.json"]),
        ):
            pass

    def test_a_folder_of_somebody_else(self, model: Path) -> None:
        (model / "onnx").chmod(0o000)
        user = os.geteuid()
        if user == 0:  # root reads everything, so be nobody for a moment
            os.seteuid(65534)
        try:
            with pytest.raises(AccessDenied):
                resolve(model)
        finally:
            os.seteuid(user)
            (model / "onnx").chmod(0o755)
