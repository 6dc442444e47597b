from __future__ import annotations

import pytest

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidReference, ModelNotFound, UnsafePath
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.mock import MockSource

EMPTY = Digest.parse("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")


def resolve(uri: str) -> Manifest:
    return MockSource(SourceSettings()).resolve(ModelRef.parse(uri))


def test_the_files_asked_for_are_empty() -> None:
    manifest = resolve("mock:test/empty?files=tokenizer.json&files=config.json")
    assert [(file.path, file.size, file.digest) for file in manifest.files] == [
        ("config.json", 0, EMPTY),
        ("tokenizer.json", 0, EMPTY),
    ]


@pytest.mark.parametrize(
    ("uri", "name"),
    [("mock:a/b", "a/b"), ("mock:b", "test-org/b"), ("mock:/b", "test-org/b"), ("mock:a/", "a/test-model")],
)
def test_defaults(uri: str, name: str) -> None:
    manifest = resolve(uri)
    assert manifest.ref.id == name
    assert [file.path for file in manifest.files] == ["config.json"]


def test_the_commit_depends_on_the_name_alone() -> None:
    one, again, other = resolve("mock:a/b"), resolve("mock:a/b@main?files=x"), resolve("mock:a/c")
    assert len(one.ref.revision) == 40
    assert one.ref.revision == again.ref.revision != other.ref.revision


def test_a_given_commit() -> None:
    commit = "abc123" + "0" * 34
    manifest = resolve(f"mock:a/b?commitSha={commit}")
    assert manifest.ref.revision == commit
    assert resolve(manifest.ref.uri) == manifest
    assert resolve(f"mock:a/b@{commit}").ref.revision == commit


@pytest.mark.parametrize("commit", ["abc", "G" * 40, "A" * 40, ""])
def test_a_commit_that_is_none(commit: str) -> None:
    with pytest.raises(InvalidReference, match="40"):
        resolve(f"mock:a/b?commitSha={commit}")


def test_an_unknown_revision() -> None:
    with pytest.raises(ModelNotFound):
        resolve("mock:a/b@v2")
    with pytest.raises(ModelNotFound):
        resolve(f"mock:a/b@{'1' * 40}?commitSha={'2' * 40}")


def test_an_unknown_option() -> None:
    with pytest.raises(InvalidReference, match="commitSha, exclude, files"):
        resolve("mock:a/b?file=config.json")


def test_a_hostile_name() -> None:
    with pytest.raises(UnsafePath):
        resolve("mock:a/b?files=../x")
