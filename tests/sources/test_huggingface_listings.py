"""Listings of a Hub that lies."""

from __future__ import annotations

import pytest

from tests.simulators.hub import Hub
from tests.sources.hub_models import REF, commit, hub, source, tree
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    SourceMisbehaved,
    UnsafePath,
)

__all__ = ["hub"]


class TestHostileListings:
    @pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "nul\0byte", "a\\b"])
    def test_names(self, hub: Hub, name: str) -> None:
        hub.add("org/evil", {name: b"x"})
        with pytest.raises(UnsafePath):
            source(hub).resolve(ModelRef.parse("hf:org/evil"))

    def test_names_that_differ_by_case_are_two_files(self, hub: Hub) -> None:
        hub.add("org/cases", {"README.md": b"x", "readme.md": b"y"})
        names = [entry.path for entry in source(hub).resolve(ModelRef.parse("hf:org/cases")).files]
        assert names == ["README.md", "readme.md"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"null",
            b"<html>",
            b"[" * 50_000,
            b'{"id": "org/name"}',
            b'{"id": "org/name", "sha": 7, "siblings": []}',
            b'{"id": "org/name", "sha": "main", "siblings": []}',
            b'{"id": "o/n", "sha": "%s", "siblings": [{}]}' % (b"a" * 40),
            b'{"id": "o/n", "sha": "%s", "siblings": [{"rfilename": 7}]}' % (b"a" * 40),
            b'{"id": "o/n", "sha": "%s", "siblings": [{"rfilename": "a", "size": "x"}]}' % (b"a" * 40),
            b'{"id": "o/n", "sha": "%s", "siblings": [{"rfilename": "a", "size": -1}]}' % (b"a" * 40),
            b'{"id": "o/n", "sha": "%s", "siblings": [{"rfilename": "a", "blobId": "x"}]}' % (b"a" * 40),
            b'{"id": "o/n", "sha": "%s", "siblings": [{"rfilename": "a", "lfs": {"sha256": 1, "size": 1}}]}'
            % (b"a" * 40),
        ],
    )
    def test_documents(self, hub: Hub, body: bytes) -> None:
        body = body.replace(b"a" * 40, commit(hub).encode())
        hub.fault("/api/models/org/name", content=body)
        hub.fault(tree(hub), status=404)
        hub.fault(f"/revision/{commit(hub)}", content=body)  # what is asked where a mirror has no tree
        with pytest.raises(SourceMisbehaved):
            source(hub).resolve(REF)

    @pytest.mark.parametrize(
        "entry",
        [
            b"{}",
            b'{"type": "file", "path": 7, "size": 1, "oid": ""}',
            b'{"type": "file", "path": "a", "size": "x"}',
            b'{"type": "file", "path": "a", "size": true}',
            b'{"type": "file", "path": "a", "size": -1}',
            b'{"type": "file", "path": "a", "size": 1, "oid": "x"}',
            b'{"type": "file", "path": "a", "size": 1, "lfs": {"oid": 1, "size": 1}}',
            b'{"type": "symlink", "path": "a", "size": 1}',
        ],
    )
    def test_trees(self, hub: Hub, entry: bytes) -> None:
        for body in (b"[" + entry + b"]", entry):
            hub.fault(tree(hub), content=body, times=1)
            with pytest.raises(SourceMisbehaved):
                source(hub).resolve(REF)

    def test_another_commit_than_the_pinned_one(self, hub: Hub) -> None:
        old = source(hub).resolve(REF).ref
        repository = hub.repositories["models", "org/name"]
        repository.branches[old.revision] = repository.commit({"config.json": b"{}"})
        with pytest.raises(SourceMisbehaved, match="describes the commit"):
            source(hub).resolve(old)
