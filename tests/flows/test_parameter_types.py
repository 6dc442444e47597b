"""What the form of `ingest` offers, and what the server refuses: never a URI that the library reads."""

from __future__ import annotations

import re

import pytest

from flows.parameter_types import uri_pattern
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import KINDS, record_of
from weighbridge.errors import UsageError

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
PATTERN = re.compile(uri_pattern((*KINDS.values(), record_of("acme"))))
READ = [
    "hf:org/name",
    "hf:a/b@main?files=*.bin",
    "hf-dataset:a/b",
    "xet:a/b",
    "xet://huggingface.co/a/b",
    "s3://bucket",
    "s3://bucket/a/b/",
    "s3://bucket?x=y",
    "mlflow:name/3",
    "mlflow:name@champion",
    "git+https://host/repo.git@v1#folder",
    "git+http://host:8080/a@b",
    "ollama:llama2:7b",
    "ollama:hf.co/a/b:Q4",
    "https://host/a.tar.gz#extract=true",
    "http://[::1]:80/a@b",
    "pypi:package==1.2",
    "file:/a",
    "file:a/b",
    "file:///a",
    "file:/a?b=c",
    "mock:a/b",
    "hf:a%20b/c",
]
NOT_READ = [
    "foo",
    "s4://bucket/x",
    "hf:",
    "hf:-x",
    "hf:@main",
    "hf:?files=x",
    "https://host",
    "https:host/x",
    "https://user:secret@host/x",
    "http://user@host/x",
    "git+https://user:secret@host/r.git",
    "git+https://host/",
    "s3:bucket",
    "s3://b",
    "file:",
    "file://",
    "file:?x=y",
    "http://",
    ":x",
]


@pytest.mark.parametrize("uri", [*READ, " hf:a/b ", "hf:a b/c"])
def test_what_the_library_reads_may_be_asked_for(uri: str) -> None:
    assert ModelRef.parse(uri)
    assert PATTERN.search(uri)


@pytest.mark.parametrize("uri", [*NOT_READ, ""])
def test_what_it_does_not_read_is_refused_before_a_run_exists(uri: str) -> None:
    with pytest.raises(UsageError):
        ModelRef.parse(uri)
    assert not PATTERN.search(uri)


def test_an_installed_source_may_be_asked_for() -> None:
    assert PATTERN.search("acme:a/b@1")
