from __future__ import annotations

import pytest

from weighbridge.content.litter import is_litter


@pytest.mark.parametrize(
    ("path", "litter"),
    [
        ("model.gguf", False),
        (".gitattributes", False),
        ("a/b.DS_Store", False),
        (".DS_Store", True),
        ("a/b/.DS_Store", True),
        ("__MACOSX/model.gguf", True),
        ("a/._model.gguf", True),
        (".git/config", True),
    ],
)
def test_litter_is_told_by_any_part_of_a_path(path: str, litter: bool) -> None:
    assert is_litter(path) is litter
