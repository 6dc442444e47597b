"""What every source has to do, whatever it is: `tests/sources/test_contract.py` runs this over each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from weighbridge.digest import Hasher
from weighbridge.errors import InvalidReference, ModelNotFound
from weighbridge.manifest import FileEntry
from weighbridge.ref import ModelRef
from weighbridge.sources import SOURCES
from weighbridge.sources.interface import Source, SourceSettings
from weighbridge.uris import SCHEMES


@dataclass(frozen=True)
class SourceCase:
    """A source with one model in it.

    Attributes:
        source: the adapter.
        ref: the model, as a user names it.
        files: the content of every file.
        missing: a reference to a model that the source does not have.
    """

    source: Source
    ref: ModelRef
    files: Mapping[str, bytes]
    missing: ModelRef


class SourceContract:
    """The tests; a subclass gives the fixture `case`."""

    def test_its_kind_has_a_scheme_and_a_factory(self, case: SourceCase) -> None:
        assert case.source.kind in SCHEMES.values()
        assert type(SOURCES[case.source.kind](SourceSettings())) is type(case.source)

    def test_a_resolved_model_is_pinned_and_the_same_again(self, case: SourceCase) -> None:
        manifest = case.source.resolve(case.ref)
        assert manifest.ref.revision
        assert manifest.ref.kind == case.source.kind
        assert case.source.resolve(case.ref) == manifest
        assert case.source.resolve(case.ref).fingerprint == manifest.fingerprint

    def test_a_pinned_reference_resolves_to_itself(self, case: SourceCase) -> None:
        manifest = case.source.resolve(case.ref)
        assert case.source.resolve(manifest.ref) == manifest
        assert case.source.resolve(ModelRef.parse(manifest.ref.uri)).files == manifest.files

    def test_sizes_and_digests_are_those_of_the_bytes(self, case: SourceCase) -> None:
        manifest = case.source.resolve(case.ref)
        assert manifest.by_path.keys() == case.files.keys()
        for entry in manifest.files:
            content = case.files[entry.path]
            assert entry.size in (None, len(content))
            if entry.digest:
                hasher = Hasher((entry.digest.algorithm,), len(content))
                hasher.update(content)
                assert hasher.digests[entry.digest.algorithm] == entry.digest

    @pytest.mark.parametrize("locked", [False, True])
    def test_opened_files_give_their_bytes(self, case: SourceCase, locked: bool) -> None:
        manifest = case.source.resolve(case.ref)
        for entry in manifest.files:
            # A lock file keeps path, size and digest only.
            wanted = FileEntry.from_json(entry.to_json()) if locked else entry
            with case.source.open(manifest.ref, wanted) as stream:
                assert stream.offset == 0
                assert stream.size in (None, len(case.files[entry.path]))
                assert b"".join(stream.chunks) == case.files[entry.path]

    def test_an_offset_gives_the_rest_or_says_that_it_starts_again(self, case: SourceCase) -> None:
        manifest = case.source.resolve(case.ref)
        for entry in manifest.files:
            offset = len(case.files[entry.path]) // 2
            with case.source.open(manifest.ref, entry, offset) as stream:
                assert stream.offset in (0, offset)
                assert b"".join(stream.chunks) == case.files[entry.path][stream.offset :]

    def test_a_stream_may_be_left_early(self, case: SourceCase) -> None:
        manifest = case.source.resolve(case.ref)
        for _ in range(3):
            with case.source.open(manifest.ref, manifest.files[0]) as stream:
                next(iter(stream.chunks), b"")

    def test_what_is_not_there_is_not_found(self, case: SourceCase) -> None:
        with pytest.raises(ModelNotFound) as error:
            case.source.resolve(case.missing)
        assert error.value.remedy

    def test_an_unknown_option_is_wrong_usage(self, case: SourceCase) -> None:
        with pytest.raises(InvalidReference) as error:
            case.source.resolve(replace(case.ref, options=(*case.ref.options, ("no-such-option", "1"))))
        assert error.value.exit_code == 64
