"""Every source kind is one whole record, and reading the records imports nothing that asks a source."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from weighbridge.config.settings import Settings
from weighbridge.config.source_options import SourceOptions
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import KINDS, kinds_by_scheme, record_of
from weighbridge.domain.source_kinds.grammar import Parts

#: A pinned model of each kind that has everything its URI can say.
EXAMPLES = {
    "huggingface": "hf:org/name@refs/pr/1?exclude=*.bin",
    "huggingface-dataset": "hf-dataset:org/name@abc?files=a",
    "s3": "s3://bucket/a%20b/c?endpoint=http://minio:9000&region=x",
    "mlflow": "mlflow:a%20b@champion?tracking_uri=https://ml.example",
    "git-lfs": "git+https://host/org/repo.git@v1?exclude=docs/#folder",
    "git-xet": "xet:org/name@v1",
    "ollama": "ollama:host:5000/me/m:7b?registry=http://h",
    "pypi": "pypi:package==1.2?file=a.whl",
    "url": "https://host/a.tar.gz?x=1#extract=true",
    "bundle": "bundle:org/name@1.0.0?upstream=hf:org/name%40abc",
    "file": "file:/data/my%20model?root=/store",
    "mock": "mock:org/name@1?files=config.json",
}
LIBRARIES = {
    "boto3",
    "botocore",
    "httpx",
    "huggingface_hub",
    "hf_xet",
    "mlflow",
    "packaging",
    "pydantic",
    "pypi_simple",
}
SECTIONS = dict(
    section.split("\n", 1)
    for section in re.split(r"^## ", Path("docs/sources.md").read_text(), flags=re.MULTILINE)
    if "\n" in section
)


def test_each_has_an_example_and_its_own_schemes() -> None:
    assert set(EXAMPLES) == set(KINDS)
    assert all(record.name == name and record.schemes for name, record in KINDS.items())
    assert sum(len(record.schemes) for record in KINDS.values()) == len(kinds_by_scheme())
    assert all(re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) for scheme in kinds_by_scheme())
    taken = set(kinds_by_scheme()) & set(KINDS)
    assert all(kinds_by_scheme()[name].name == name for name in taken), "the name of a kind is another's scheme"


@pytest.mark.parametrize("name", KINDS)
class TestRecord:
    def test_its_adapter_is_a_source_of_that_kind(self, name: str) -> None:
        module, _, adapter = KINDS[name].adapter.partition(":")
        made = getattr(importlib.import_module(module), adapter)
        assert made.kind == name
        assert callable(made.resolve)
        assert callable(made.open)

    def test_its_grammar_reads_what_it_writes(self, name: str) -> None:
        record, ref = KINDS[name], ModelRef.parse(EXAMPLES[name])
        assert (ref.kind, ref.uri) == (name, EXAMPLES[name])
        assert EXAMPLES[name].startswith(f"{record.schemes[0]}:")
        assert re.fullmatch(record.follows, EXAMPLES[name].partition(":")[2])
        assert ref.name
        assert ref.mistake == ""
        assert isinstance(ref.page, str)

    def test_its_options_say_where_a_model_is(self, name: str) -> None:
        record = KINDS[name]
        module, _, options = record.options.partition(":")
        if not options:
            return
        made = getattr(importlib.import_module(module), options)
        assert issubclass(made, SourceOptions)
        assert record.places <= set(made.model_fields)

    def test_its_settings_and_variables_exist_and_are_told(self, name: str) -> None:
        record = KINDS[name]
        assert not record.endpoint_setting or record.endpoint_setting in Settings.model_fields
        assert not record.one_service or record.endpoint_setting, "no setting names its one service"
        assert not record.login_variables or (record.auth_variable and len(record.login_variables) == 2)
        section = SECTIONS["huggingface" if name in ("git-xet", "huggingface-dataset") else name]
        setting = f"WEIGHBRIDGE_{record.endpoint_setting.upper()}" if record.endpoint_setting else ""
        others = (record.endpoint_variable, record.auth_variable, *record.login_variables)
        assert [told for told in (setting, *others) if told and told not in section] == []


def test_a_kind_that_is_not_our_own_is_as_plugins_are() -> None:
    record = record_of("acme")
    parts = Parts("acme", "team/name", "3", (("library", "https://h"),))
    uri = record.write("acme", parts)
    assert uri == "acme:team/name@3?library=https://h"
    assert record.read("acme", "acme", uri.removeprefix("acme:")) == parts
    assert (record.block, record.page(parts), record.model_name(parts)) == ("web-credentials", "", "team/name")


def test_records_are_light() -> None:
    """Whatever names a model imports them all: no library of a source may come with them."""
    code = "import sys, weighbridge.domain.ref; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "weighbridge" in loaded
    assert set(loaded) & LIBRARIES == set()


@pytest.mark.parametrize(
    ("kind", "id", "revision", "said"),
    [
        ("huggingface", "https://huggingface.co/org/a", "", "not a repository of the Hub"),
        ("huggingface", "org/a@main", "", "not a repository of the Hub"),
        ("huggingface", "org/a ", "", "not a repository of the Hub"),
        ("huggingface", "org/a", "HEAD~1", "not a revision"),
        ("huggingface-dataset", "a/b/c", "", "not a repository of the Hub"),
        ("git-lfs", "https://host/r.git", "HEAD~1", "not a revision"),
        ("git-lfs", "https://host/r.git", "a..b", "not a revision"),
        ("ollama", "llama2", "7 b", "not a tag"),
        ("ollama", "llama2", "sha256:abc", "not a tag"),
        ("pypi", "package", "~=1.2", "not a version"),
        ("pypi", "pack age", "1.2", "not a package name"),
    ],
)
def test_mistakes(kind: str, id: str, revision: str, said: str) -> None:  # noqa: A002
    assert said in ModelRef(kind, id, revision).mistake


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
    assert ModelRef(kind, id, revision).mistake == ""


def test_a_commit_of_a_mock() -> None:
    assert "40" in ModelRef("mock", "a/b", "", (("commitSha", "abc123"),)).mistake
