"""Names that a source would not take are told before anything is asked."""

from __future__ import annotations

import pytest

from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_names import mistake


@pytest.mark.parametrize(
    ("kind", "id", "revision", "said"),
    [
        ("huggingface", "https://huggingface.co/org/a", "", "no repository of the Hub"),
        ("huggingface", "org/a@main", "", "no repository of the Hub"),
        ("huggingface", "org/a ", "", "no repository of the Hub"),
        ("huggingface", "org/a", "HEAD~1", "no revision"),
        ("huggingface-dataset", "a/b/c", "", "no repository of the Hub"),
        ("git-lfs", "https://host/r.git", "HEAD~1", "no revision"),
        ("git-lfs", "https://host/r.git", "a..b", "no revision"),
        ("ollama", "llama2", "7 b", "no tag"),
        ("ollama", "llama2", "sha256:abc", "no tag"),
        ("pypi", "package", "~=1.2", "no version"),
        ("pypi", "pack age", "1.2", "no package name"),
    ],
)
def test_mistakes(kind: str, id: str, revision: str, said: str) -> None:  # noqa: A002
    assert said in mistake(ModelRef(kind, id, revision))


@pytest.mark.parametrize(
    ("kind", "id", "revision"),
    [
        ("huggingface", "gpt2", ""),
        ("huggingface", "org/Name-1.5_x", "refs/pr/1"),
        ("huggingface", "org/name", "0" * 40),
        ("git-lfs", "https://host/r.git", "refs/heads/feature/x"),
        ("ollama", "user/model", "Q4_K_M"),
        ("ollama", "model", "sha256:" + "0" * 64),
        ("pypi", "Some.Package_x", "1.2rc1"),
        ("s3", "bucket/any thing", ""),
    ],
)
def test_names_that_may_be_right(kind: str, id: str, revision: str) -> None:  # noqa: A002
    assert mistake(ModelRef(kind, id, revision)) == ""


def test_a_commit_of_a_mock() -> None:
    assert "40" in mistake(ModelRef("mock", "a/b", "", (("commitSha", "abc123"),)))
