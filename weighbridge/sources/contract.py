"""The contract of every source: tests to run over a source of your own, with pytest.

    from weighbridge.sources.contract import SourceCase, SourceContract

    class TestAcme(SourceContract):
        @pytest.fixture
        def case(self):
            ...
            yield SourceCase(source, ref, files, missing)

Weighbridge runs them over its own sources (tests/sources/test_contract.py); docs/sources.md shows them for a plug-in.
Not here: what a source does beyond this, such as its options and its handling of broken servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from weighbridge.domain.digest import Hasher
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidReference, ModelNotFound
from weighbridge.net.settings import SourceSettings
from weighbridge.sources import open_source
from weighbridge.sources.interface import Source


@dataclass(frozen=True)
class SourceCase:
    """A source with one model in it.

    Attributes:
        source: the adapter.
        ref: the model, as a user names it.
        files: the content of every file that `resolve` names, by path.
        missing: a reference to a model that the source does not have.
    """

    source: Source
    ref: ModelRef
    files: Mapping[str, bytes]
    missing: ModelRef


class SourceContract:
    """The tests; a subclass gives the fixture `case`."""

    def test_it_is_opened_by_its_kind(self, case: SourceCase) -> None:
        """The kind is registered, and a reference that is written as a URI and parsed again is the same."""
        assert case.ref.kind == case.source.kind, "the reference is of another source"
        assert ModelRef.parse(case.ref.uri) == case.ref, f"{case.ref.uri} is parsed as another reference"
        opened = open_source(case.source.kind, SourceSettings())
        assert opened.kind == case.source.kind, "the name under which it is registered is not its kind"

    def test_a_resolved_model_is_pinned_and_the_same_again(self, case: SourceCase) -> None:
        """Nothing changed between two calls, so the manifests are equal."""
        manifest = case.source.resolve(case.ref)
        assert isinstance(manifest, Manifest), f"resolve returns a {type(manifest).__name__}, not a Manifest"
        assert manifest.ref.revision, "the manifest's reference has no revision: nothing pins it"
        assert manifest.ref.kind == case.source.kind, "the manifest's reference is of another source"
        again = case.source.resolve(case.ref)
        assert again == manifest, f"the same model resolves to {again} the second time, not to {manifest}"
        assert again.fingerprint == manifest.fingerprint, "versions of files differ though nothing has changed"

    def test_a_pinned_reference_resolves_to_itself(self, case: SourceCase) -> None:
        """A lock file holds the pinned URI, which resolves to what was locked."""
        manifest = case.source.resolve(case.ref)
        assert case.source.resolve(manifest.ref) == manifest, f"{manifest.ref} resolves to something else"
        written = case.source.resolve(ModelRef.parse(manifest.ref.uri))
        assert written.files == manifest.files, f"{manifest.ref.uri} written as a URI resolves to other files"

    def test_sizes_and_digests_are_those_of_the_bytes(self, case: SourceCase) -> None:
        """Each declared size and digest is true; None declares nothing."""
        manifest = case.source.resolve(case.ref)
        assert manifest.by_path.keys() == case.files.keys(), "resolve names other files than the case"
        for entry in manifest.files:
            content = case.files[entry.path]
            assert entry.size in (None, len(content)), f"{entry.path} has {len(content)} bytes, not {entry.size}"
            if entry.digest:
                hasher = Hasher((entry.digest.algorithm,), len(content))
                hasher.update(content)
                actual = hasher.digests[entry.digest.algorithm]
                assert actual == entry.digest, f"{entry.path} has {actual}, not {entry.digest}"

    @pytest.mark.parametrize("locked", [False, True])
    def test_opened_files_give_their_bytes(self, case: SourceCase, locked: bool) -> None:
        """This also holds where an entry has only path, size and digest, as in a lock file."""
        manifest = case.source.resolve(case.ref)
        for entry in manifest.files:
            wanted = FileEntry.from_json(entry.to_json()) if locked else entry
            with case.source.open(manifest.ref, wanted) as stream:
                assert stream.offset == 0, f"{entry.path} starts at {stream.offset}, not at 0"
                assert stream.size in (None, len(case.files[entry.path])), f"{entry.path} has another size"
                assert b"".join(stream.chunks) == case.files[entry.path], f"{entry.path} has other bytes"

    def test_an_offset_gives_the_rest_or_says_that_it_starts_again(self, case: SourceCase) -> None:
        """A source that cannot resume reports the offset 0."""
        manifest = case.source.resolve(case.ref)
        for entry in manifest.files:
            offset = len(case.files[entry.path]) // 2
            with case.source.open(manifest.ref, entry, offset) as stream:
                assert stream.offset in (0, offset), f"{entry.path} starts at {stream.offset}, not at {offset} or 0"
                rest = case.files[entry.path][stream.offset :]
                assert b"".join(stream.chunks) == rest, f"{entry.path} has other bytes from {stream.offset} on"

    def test_a_stream_may_be_left_early(self, case: SourceCase) -> None:
        """A stopped run leaves no open file and no lock."""
        manifest = case.source.resolve(case.ref)
        for _ in range(3):
            with case.source.open(manifest.ref, manifest.files[0]) as stream:
                next(iter(stream.chunks), b"")

    def test_what_is_not_there_is_not_found(self, case: SourceCase) -> None:
        """A missing model raises ModelNotFound with a remedy."""
        with pytest.raises(ModelNotFound) as error:
            case.source.resolve(case.missing)
        assert error.value.remedy, "the error has no remedy"

    def test_an_unknown_option_is_wrong_usage(self, case: SourceCase) -> None:
        """A mistyped option is never ignored (`refuse_unknown_options`)."""
        with pytest.raises(InvalidReference):
            case.source.resolve(replace(case.ref, options=(*case.ref.options, ("no-such-option", "1"))))
