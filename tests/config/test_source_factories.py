"""Source factories: what models get from them, what they say themselves, and whose mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from weighbridge.config.models_file import read_models, requests
from weighbridge.config.yaml_file import YamlFile
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidConfiguration

FACTORIES = """
sources:
  company-s3: {s3: {bucket: company-models, region: us-west-2}, auth: {block: company-s3}}
  company-hf: {huggingface: {revision: stable}, auth: {tokenEnvVar: COMPANY_TOKEN}}
  registry: {mlflow: {trackingUri: "https://ml.example", version: 1}}
  tests: {mock: }
"""


def read(folder: Path, text: str, local: str = "") -> dict[str, IngestRequest]:
    (folder / "models.yaml").write_text(text)
    if local:
        (folder / "models.local.yaml").write_text(local)
    return {request.model: request for request in requests(read_models(folder / "models.yaml"))}


def test_models_get_the_factorys_options_and_auth(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        FACTORIES
        + """
models:
  - {name: internal, source: {use: company-s3, prefix: models/internal-v1/}}
  - {name: elsewhere, source: {use: company-s3, prefix: x, region: eu-west-1, endpoint: "http://minio:9000"}}
  - {name: own, source: {use: company-hf, repo: company/own}, auth: {tokenFile: /run/own}}
  - {name: open, source: {use: company-hf, repo: company/open, revision: v2}, auth: }
  - {name: first, source: {use: registry, modelName: fraud}}
  - {name: staged, source: {use: registry, model_name: fraud, stage: Production}}
  - {name: empty, source: {use: tests}}
""",
    )
    assert {name: request.ref.uri for name, request in found.items()} == {
        "internal": "s3://company-models/models/internal-v1?region=us-west-2",
        "elsewhere": "s3://company-models/x?endpoint=http://minio:9000&region=eu-west-1",
        "own": "hf:company/own@stable",
        "open": "hf:company/open@v2",
        "first": "mlflow:fraud/1?tracking_uri=https://ml.example",
        "staged": "mlflow:fraud/Production?tracking_uri=https://ml.example",
        "empty": "mock:test-org/test-model?files=config.json",
    }
    assert found["internal"].auth == AuthPlace(block="company-s3")
    assert found["own"].auth == AuthPlace(token_file="/run/own")
    assert found["open"].auth == AuthPlace()


def test_the_local_file_brings_factories_and_replaces_some(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        FACTORIES + "models: [{name: internal, source: {use: company-s3, prefix: a}}]",
        """
sources:
  company-s3: {s3: {bucket: my-models, endpoint: "http://127.0.0.1:9000"}}
  mine: {file: {root: /data}}
models:
  - {name: here, source: {use: mine, path: /data/here}}
  - {name: hub, source: {use: company-hf, repo: a/b}}
""",
    )
    assert found["internal"].ref.uri == "s3://my-models/a?endpoint=http://127.0.0.1:9000"
    assert found["internal"].auth == AuthPlace()
    assert found["here"].ref.uri == "file:/data/here?root=/data"
    assert found["hub"].auth == AuthPlace(token_env="COMPANY_TOKEN")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "sources: {a: {s3: {bukket: x}}}",
            r"models\.yaml:1: sources\.a\.s3\.bukket: s3 has no such option; it has files, exclude, bucket, pre",
        ),
        (
            "sources:\n  a:\n    s3: {region: 7}",
            r"models\.yaml:3: sources\.a\.s3\.region: .*valid string: write it in quotes",
        ),
        (
            "sources:\n  a: {s4: {}}",
            r"models\.yaml:2: sources\.a\.s4: there is no source kind “s4”; known ones are file, git-lfs",
        ),
        ("sources: {a: {s3: [x]}}", r"models\.yaml:1: sources\.a\.s3: write the options of s3 as a mapping"),
        ("sources: {a: {s3: {}, url: {}}}", r"models\.yaml:1: sources\.a: a source factory has one source kind"),
        ("sources: {a: {}}", r"models\.yaml:1: sources\.a: a source factory has one source kind"),
        ("sources: {a: hf}", r"models\.yaml:1: sources\.a: .*valid dictionary"),
        ("sources:\n  a:\n    url: {}\n    auth: {token: x}", r"models\.yaml:4: sources\.a\.auth\.token"),
        ("sources:\n  a:\n    url: {}\n    auth: {}", r"models\.yaml:4: sources\.a\.auth: name exactly one of"),
        (
            "sources: {a: {mlflow: {trackingUri: x}}}",
            r"models\.yaml:1: sources\.a\.mlflow\.trackingUri: write an address",
        ),
        ("sources: {a: {mock: {files: [a, 1]}}}", r"models\.yaml:1: sources\.a\.mock\.files\.1: "),
        (
            "sources: {a: {mlflow: {modelName: x, model_name: y}}}",
            r"models\.yaml:1: sources\.a\.mlflow\.model_name: it is given twice",
        ),
    ],
)
def test_a_mistake_in_a_factory_is_told_though_nothing_uses_it(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidConfiguration, match=told):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "{use: nothing}",
            r"models\.yaml:9: models\.0\.source\.use: there is no source factory “nothing”; there are c",
        ),
        ("{use: [tests]}", r"models\.0\.source\.use: there is no source factory"),
        ("{use: company-s3}", r"models\.yaml:9: models\.0\.source\.prefix: Field required"),
        ("{use: company-s3, prefix: [a]}", r"models\.yaml:9: models\.0\.source\.prefix: .*valid string"),
        ("{use: company-s3, prefix: a, repo: b}", r"models\.0\.source\.repo: s3 has no such option"),
        ("{use: company-s3, s3: {prefix: a}}", r"models\.0\.source\.s3: s3 has no such option"),
        ("{use: registry, modelName: a, version: 1, stage: S}", r"models\.0\.source: name exactly one of"),
        ("{}", r"models\.0\.source: name exactly one source kind"),
        ("[a]", r"models\.0\.source: name exactly one source kind"),
        ("{s3: {bucket: abc}}", r"models\.0\.source\.s3\.prefix: Field required"),
        ("{git-lfs: {url: 'https://h/r.git', rev: 1.10}}", r"models\.0\.source\.git-lfs\.rev: .*write it in quotes"),
        ("s4://bucket", r"models\.yaml:9: models\.0\.source: No source serves"),
    ],
)
def test_a_mistake_of_a_model_is_told_at_the_model(tmp_path: Path, source: str, told: str) -> None:
    text = FACTORIES + f"models:\n  - name: x\n    source: {source}\n"
    assert text.splitlines()[8].startswith("    source")
    with pytest.raises(InvalidConfiguration, match=told) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)


def test_each_mistake_is_told_in_the_file_of_who_made_it(tmp_path: Path) -> None:
    factory = "sources:\n  repo: {git-lfs: {url: 'https://h/r.git'}}"
    with pytest.raises(InvalidConfiguration, match=r"models\.local\.yaml:2: models\.0\.source\.subdir: .*in quotes"):
        read(tmp_path, factory, "models:\n  - {name: b, source: {use: repo, rev: v1, subdir: 7}}")
    with pytest.raises(InvalidConfiguration, match=r"models\.yaml:3: models\.0\.source\.rev: Field required"):
        read(tmp_path, factory + "\nmodels: [{name: b, source: {use: repo}}]", "models: []")
    with pytest.raises(InvalidConfiguration, match=r"models\.local\.yaml:1: sources\.repo\.git-lfs\.rev: .*in quotes"):
        read(tmp_path, factory, "sources: {repo: {git-lfs: {rev: 7}}}")


def test_options_that_exclude_each_other_may_come_from_a_factory(tmp_path: Path) -> None:
    factory = "sources: {a: {mlflow: {version: 1, stage: S, trackingUri: 'https://h'}}}\n"
    assert read(tmp_path, factory + "models: [{source: {use: a, modelName: x, alias: b}}]")["x"].ref.revision == "@b"
    with pytest.raises(InvalidConfiguration, match=r"models\.yaml:2: models\.0\.source: name exactly one of version"):
        read(tmp_path, factory + "models: [{source: {use: a, modelName: x}}]")


def test_anchors_and_merge_keys_are_yaml(tmp_path: Path) -> None:
    text = """
sources:
  one: {s3: &s3 {bucket: models, region: eu-west-1}}
  two:
    s3: {<<: *s3, region: us-west-2}
models:
  - {name: x, source: {use: two, prefix: p}}
"""
    assert read(tmp_path, text)["x"].ref.uri == "s3://models/p?region=us-west-2"
    # What is merged stands elsewhere: the line is that of the mapping it is merged into.
    problem = YamlFile.read(tmp_path / "models.yaml").problem(("sources", "two", "s3", "bucket"), "no")
    assert problem.facts["line"] == 5
