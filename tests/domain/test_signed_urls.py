"""Signed URLs: the credentials in a query are apart from what says which file is meant."""

from __future__ import annotations

import pickle

import pytest

from weighbridge.domain.ref import ModelRef
from weighbridge.domain.signed_urls import split_secret, with_secret

S3 = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F1&X-Amz-Expires=600&X-Amz-Signature=SECRET"
AZURE = "sv=2024-01-01&se=2026-12-01T00%3A00Z&sr=b&sp=r&sig=SECRET%3D"


@pytest.mark.parametrize(
    ("query", "public"),
    [
        (S3, ""),
        (f"versionId=7&{S3}", "versionId=7"),
        (AZURE, ""),
        ("token=SECRET", ""),
        ("download=1&token=SECRET&file=a", "download=1&file=a"),
        ("Expires=1&Signature=SECRET&Key-Pair-Id=K", ""),
        ("GoogleAccessId=a&Expires=1&Signature=SECRET", ""),
        ("private_token=SECRET&ref=main", "ref=main"),
        ("X-AMZ-SIGNATURE=SECRET", ""),
        ("api%5Fkey=SECRET", ""),
        ("myToken=SECRET", ""),
    ],
)
def test_credentials_are_cut_out(query: str, public: str) -> None:
    address, secret = split_secret(f"https://host/m.gguf?{query}")
    assert address == f"https://host/m.gguf{'?' if public else ''}{public}"
    assert "SECRET" in secret
    asked = with_secret(address, secret)
    assert sorted(asked.partition("?")[2].split("&")) == sorted(query.split("&"))


@pytest.mark.parametrize(
    "query", ["", "?", "?download=true", "?ref=main&path=a%2Fb", "?se=1&sp=2&sr=3", "?expires=never", "?keyword=x"]
)
def test_other_queries_stay_as_they_are(query: str) -> None:
    assert split_secret(f"https://host/m.gguf{query}") == (f"https://host/m.gguf{query}", "")


def test_a_reference_shows_them_nowhere_and_asks_with_them() -> None:
    ref = ModelRef.parse(f"https://host/m.gguf?v=1&{AZURE}#sha256={'0' * 64}")
    assert "SECRET" not in repr(ref) + ref.uri + ref.name + ref.id + str(ref.pinned("etag-1"))
    assert ref == ModelRef.parse(f"https://host/m.gguf?v=1#sha256={'0' * 64}")
    assert ref.pinned("x").address == f"https://host/m.gguf?v=1&{AZURE}"
    assert pickle.loads(pickle.dumps(ref)).address == ref.address
