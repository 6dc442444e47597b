"""Which repository of a Hub a reference is of, however it is written."""

from __future__ import annotations

import pytest

from weighbridge.domain.repositories import repository_at


@pytest.mark.parametrize(
    ("uri", "repository"),
    [
        ("hf:Qwen/Qwen3-4B@main", "qwen/qwen3-4b"),
        ("hf:gpt2", "gpt2"),
        ("hf:org/name@abc?files=*.json", "org/name"),
        ("xet:Org/name", "org/name"),
        ("bundle:name@1.0.0?upstream=hf:Org/name@abc", "org/name"),
        ("hf-dataset:org/name", ""),
        ("ollama:llama2:7b", ""),
        ("plugin-that-is-not-here:x", ""),
        ("", ""),
    ],
)
def test_the_repository_of_a_uri(uri: str, repository: str) -> None:
    assert repository_at(uri) == repository
