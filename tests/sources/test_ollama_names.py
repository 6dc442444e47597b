from __future__ import annotations

import pytest

from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidReference
from weighbridge.sources.ollama_names import OllamaName

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("uri", "host", "repository", "reference", "shown"),
    [
        ("ollama:llama2", "", "library/llama2", "latest", "llama2:latest"),
        ("ollama:llama2:7b", "", "library/llama2", "7b", "llama2:7b"),
        ("ollama:library/llama2:7b", "", "library/llama2", "7b", "llama2:7b"),
        ("ollama:user/model:q4_K_M", "", "user/model", "q4_K_M", "user/model:q4_K_M"),
        (
            "ollama:hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
            "hf.co",
            "bartowski/Llama-3.2-1B-Instruct-GGUF",
            "Q4_K_M",
            "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        ),
        ("ollama:localhost:5000/me/m", "localhost:5000", "me/m", "latest", "localhost:5000/me/m:latest"),
        (f"ollama:llama2@{DIGEST}", "", "library/llama2", DIGEST, f"llama2@{DIGEST}"),
        (f"ollama:llama2@sha256:{'A' * 64}", "", "library/llama2", DIGEST, f"llama2@{DIGEST}"),
        (f"ollama:user/model:7b@{DIGEST}", "", "user/model", DIGEST, f"user/model@{DIGEST}"),
        (f"ollama:{'m' * 80}:{'t' * 80}", "", f"library/{'m' * 80}", "t" * 80, f"{'m' * 80}:{'t' * 80}"),
    ],
)
def test_names_as_ollama_takes_them(uri: str, host: str, repository: str, reference: str, shown: str) -> None:
    name = OllamaName.of(ModelRef.parse(uri))
    assert (name.host, name.repository, name.reference, str(name)) == (host, repository, reference, shown)
    assert (str(name.digest) if name.digest else None) == (reference if ":" in reference else None)


@pytest.mark.parametrize(
    "name",
    [
        "a/b/c/d",
        "localhost:5000/model",
        "hf.co/model/",
        "/model",
        "user//model",
        "../model",
        "user/..",
        ".hidden",
        "-model",
        "us.er/model",
        "us%20er/model",
        "us\u200ber/model",
        "modèl",
        "model\n",
        "user/model?x",
        "user/mo#del",
        "m" * 81,
        f"{'n' * 81}/model",
        f"{'h' * 351}/user/model",
        "host:0/user/model",
        "host:65536/user/model",
        "host:port/user/model",
        "ho st/user/model",
        "user@host/user/model",
        "https://host/user/model",
        "[::1]:5000/user/model",
        "model:tag",
    ],
)
def test_what_ollama_would_not_take(name: str) -> None:
    with pytest.raises(InvalidReference) as error:
        OllamaName.of(ModelRef("ollama", name, "7b"))
    assert error.value.remedy


@pytest.mark.parametrize(
    "revision",
    ["a/b", "../x", "-7b", ".7b", "7b?", "7b\n", "t" * 81, "sha256:12", f"sha256:{'g' * 64}", f"sha512:{'a' * 128}"],
)
def test_what_is_no_tag(revision: str) -> None:
    with pytest.raises(InvalidReference):
        OllamaName.of(ModelRef("ollama", "llama2", revision))


def test_a_tag_in_the_name_is_checked_although_the_digest_counts() -> None:
    with pytest.raises(InvalidReference):
        OllamaName.of(ModelRef("ollama", "llama2:a b", DIGEST))
