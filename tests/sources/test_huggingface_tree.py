"""The files of a commit, from the Hub's tree: whole, page by page, or refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.hub import Hub
from tests.sources.hub_models import FILES, REF, commit, source, tree
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import SourceMisbehaved


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("org/name", FILES)
        yield hub


class TestWholeness:
    """The description of a large repository names some of its files; the commit's tree has all of them."""

    def test_pages_are_followed_on_the_endpoint(self, hub: Hub) -> None:
        names = [f"shard-{number:04}.safetensors" for number in range(25)]
        hub.add("org/large", dict.fromkeys(names, b"x"))
        hub.page_size = 10
        manifest = source(hub).resolve(ModelRef.parse("hf:org/large"))
        assert [entry.path for entry in manifest.files] == names
        assert len(hub.asked("GET", "/tree/")) == 3

    def test_a_link_to_the_host_that_is_mirrored_is_asked_for_here(self, hub: Hub) -> None:
        link = {"Link": '<https://hub.example/api/models/org/name/tree/main?cursor=2&limit=9>; rel="next"'}
        first = b'[{"type": "file", "path": "extra.json", "size": 1, "oid": "%s"}]' % (b"a" * 40)
        hub.fault(tree(hub), times=1, content=first, headers=link)
        hub.page_size = 2
        with pytest.raises(SourceMisbehaved, match="may lack"):  # two files were skipped
            source(hub).resolve(REF)
        assert [request.query.get("cursor") for request in hub.asked("GET", "/tree/")] == [None, "2", "4"]

    def test_a_description_that_is_cut_costs_no_file(self, hub: Hub) -> None:
        description = b'{"id": "org/name", "sha": "%s", "siblings": []}' % commit(hub).encode()
        hub.fault("/api/models/org/name", content=description)
        assert {entry.path for entry in source(hub).resolve(REF).files} == set(FILES)

    def test_a_tree_that_lacks_what_the_description_names(self, hub: Hub) -> None:
        entry = b'{"type": "file", "path": "config.json", "size": 1, "oid": "%s"}' % (b"a" * 40)
        hub.fault(tree(hub), content=b"[" + entry + b"]")
        with pytest.raises(SourceMisbehaved, match=r"lists 1 files of org/name and may lack 'empty\.txt'"):
            source(hub).resolve(REF)

    def test_pages_without_end(self, hub: Hub) -> None:
        link = {"Link": '<https://hub.example/?recursive=true&expand=false>; rel="next"'}
        hub.fault(tree(hub), content=b"[]", headers=link)
        with pytest.raises(SourceMisbehaved, match="no end"):
            source(hub).resolve(REF)

    def test_a_mirror_without_trees(self, hub: Hub) -> None:
        hub.fault(tree(hub), status=404)
        assert {entry.path: entry.size for entry in source(hub).resolve(REF).files} == {
            path: len(content) for path, content in FILES.items()
        }
        hub.add("org/large", {f"shard-{number:04}.bin": b"" for number in range(1000)})
        hub.fault(tree(hub, "org/large"), status=404)
        with pytest.raises(SourceMisbehaved, match="may lack files beyond these"):
            source(hub).resolve(ModelRef.parse("hf:org/large"))
