import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path, unportable
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import UnsafePath

REF = ModelRef.parse("mock:org/name@1")


def entry(path: str, content: bytes = b"x") -> FileEntry:
    return FileEntry(path, len(content), Digest.sha256(content))


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\0b", "a\\b", "a\nb",
     "x" * 256, "/".join(["abc"] * 400), "\ud800"],
)  # fmt: skip
def test_unsafe_names_are_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        FileEntry(path)


@pytest.mark.parametrize(
    "paths",
    [["a", "a/b"], ["d/x", "d"], ["a", "a"]],
)
def test_colliding_names_are_refused(paths: list[str]) -> None:
    with pytest.raises(UnsafePath):
        Manifest(REF, tuple(FileEntry(path) for path in paths))


@pytest.mark.parametrize("path", ["C:/x", "con", "x/nul.txt", "a.", "C1_or_C2?_premise/x", "x:Zone.Identifier"])
def test_names_that_windows_cannot_hold_are_told(path: str) -> None:
    assert safe_path(path) == path
    assert list(unportable([path, "config.json"])) == [path]


@pytest.mark.parametrize("paths", [["A.txt", "a.txt"], ["e\u0301", "\u00e9"], ["ss", "\u00df"], ["D/x", "d/x"]])
def test_names_that_some_systems_hold_for_one_are_told(paths: list[str]) -> None:
    assert len(Manifest(REF, tuple(FileEntry(path) for path in paths)).files) == 2
    assert unportable(paths) == {
        paths[1]: f"Where case or Unicode form does not count, {paths[0]!r} has the same name."
    }


@given(st.text(max_size=40))
def test_a_safe_name_stays_below_its_folder(path: str) -> None:
    try:
        safe_path(path)
    except UnsafePath:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "\0" not in path


def test_digest_is_of_content_alone() -> None:
    files = (entry("b", b"2"), entry("a", b"1"))
    one = Manifest(REF, files)
    other = Manifest(ModelRef.parse("file:/elsewhere"), files[::-1])
    assert one.digest == other.digest
    assert one.digest != Manifest(REF, (entry("a", b"1"), entry("b", b"3"))).digest


def test_canonical_form_is_frozen() -> None:
    # A released format: this value may never change.
    manifest = Manifest(REF, (entry("model.bin", b"weights"),))
    assert str(manifest.digest) == "sha256:d981e4aba96ff3a43be9e0381ee91147210155c782686a7d65af472b8894ce44"


def test_compare_names_each_difference() -> None:
    declared = Manifest(REF, (entry("same"), entry("changed", b"1"), entry("gone"), FileEntry("trusted", 1)))
    computed = Manifest(REF, (entry("same"), entry("changed", b"2"), entry("new"), entry("trusted")))
    difference = declared.compare(computed)
    assert difference.mismatched == ("changed",)
    assert difference.missing == ("gone",)
    assert difference.extra == ("new",)
    assert difference.unverified == ("trusted",)
    assert not difference.equal


def test_fingerprint_needs_an_identity_of_every_file() -> None:
    assert Manifest(REF, (entry("a"),)).fingerprint
    assert not Manifest(REF, (entry("a"), FileEntry("b", 1))).fingerprint
    tagged = Manifest(REF, (FileEntry("b", 1, version="etag-1"),)).fingerprint
    assert tagged
    assert tagged != Manifest(REF, (FileEntry("b", 1, version="etag-2"),)).fingerprint
