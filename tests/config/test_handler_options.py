"""Options of handlers in models.yaml: they reach the handler, and what it does not take is told with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weighbridge.benchmarks.running import handler_options
from weighbridge.config.models_file import ModelEntry, read_models
from weighbridge.errors import InvalidConfiguration

PACKAGE = "weighbridge.handlers"
OWN = """
from weighbridge.handlers.chat import TextChat

class Plain:
    capabilities = ["text-embedding"]
    def embed(self, texts, cancel_event=None): ...
    def count_tokens(self, texts): ...

class Named(Plain):
    options = ["window", "pooling"]

class Chat(TextChat):
    pass

class Computed(TextChat):
    options = [*TextChat.options, "window"]
"""


def read(folder: Path, *lines: str) -> ModelEntry:
    (folder / "models.yaml").write_text("models:\n  - hf_repo_id: a/b\n" + "".join(f"    {line}\n" for line in lines))
    (entry,) = read_models(folder / "models.yaml")
    return entry


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_options_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    ("handler", "lines", "options"),
    [
        ("chat.TextChat", ["dtype: bfloat16", "gguf_file: a.gguf"], {"dtype": "bfloat16", "gguf_file": "a.gguf"}),
        ("chat.TextChat", ["supports_structured_outputs: false"], {}),
        ("embedding.TextEmbedding", ["pooling: cls", "normalize: false"], {"pooling": "cls", "normalize": False}),
        ("speech.WhisperSpeech", ["max_duration_s: 600"], {"max_duration_s": 600.0}),
        (
            "vision.VisionChat",
            ["image_folder: /images", "image_hosts: [images.example.org]"],
            {"image_folder": "/images", "image_hosts": ["images.example.org"]},
        ),
        ("rerank.TextRerank", ["dtype: float32"], {"dtype": "float32"}),
        (
            "upstream.UpstreamChat",
            [
                *("upstream_base_url: https://host/v1", "upstream_api_key_env: KEY", "skip_download: true"),
                *("timeout_s: 5", "owned_by: vllm", "supports_structured_outputs: true"),
            ],
            {
                "upstream_base_url": "https://host/v1",
                "upstream_api_key_env": "KEY",
                "timeout_s": 5.0,
                "owned_by": "vllm",
                "supports_structured_outputs": True,
            },
        ),
    ],
)
def test_options_reach_the_handler(tmp_path: Path, handler: str, lines: list[str], options: dict[str, Any]) -> None:
    entry = read(tmp_path, f"handler: {PACKAGE}.{handler}", *lines)
    assert handler_options(entry) == options


def test_a_model_of_no_publisher_is_one_of_openais(tmp_path: Path) -> None:
    ours = f"    handler: {PACKAGE}.upstream.UpstreamChat\n    skip_download: true\n"
    (tmp_path / "models.yaml").write_text(f"models:\n  - name: gpt-4o\n    hf_repo_id: gpt-4o\n{ours}")
    (entry,) = read_models(tmp_path / "models.yaml")
    address = {"upstream_base_url": "https://api.openai.com/v1", "upstream_api_key_env": "OPENAI_API_KEY"}
    assert handler_options(entry) == address
    (tmp_path / "models.yaml").write_text(f"models:\n  - hf_repo_id: mine\n{ours}    owned_by: vllm\n")
    with pytest.raises(InvalidConfiguration, match="needs upstream_base_url"):
        read_models(tmp_path / "models.yaml")


def test_defaults_reach_the_handler(tmp_path: Path) -> None:
    entry = read(tmp_path, "defaults: {temperature: 0, top_p: 0.9}")
    assert handler_options(entry) == {"generation_defaults": {"temperature": 0.0, "top_p": 0.9}}


@pytest.mark.parametrize(
    ("handler", "line", "told"),
    [
        ("chat.TextChat", "pooling: cls", r"models\.yaml:4: models\.0\.pooling: .*options of .*TextChat are dtype"),
        ("chat.TextChat", "hsah: x", r"models\.yaml:4: models\.0\.hsah: there is no such field"),
        ("chat.TextChat", "supports_structured_outputs: true", r":4: models\.0\.supports_structured_outputs"),
        ("embedding.TextEmbedding", "max_duration_s: 5", r":4: models\.0\.max_duration_s"),
        ("embedding.TextEmbedding", "pooling: loud", r":4: models\.0\.pooling: there is no pooling"),
        ("speech.WhisperSpeech", "max_duration_s: -1", r":4: models\.0\.max_duration_s"),
        ("speech.WhisperSpeech", "max_duration_s: long", r":4: models\.0\.max_duration_s"),
        ("vision.VisionChat", "image_hosts: one", r":4: models\.0\.image_hosts"),
        ("rerank.TextRerank", "dtype: int3", r":4: models\.0\.dtype"),
        ("chat.TextChat", "trust_remote_code: true", r":4: models\.0\.trust_remote_code: .*policy\.yaml"),
        ("chat.TextChat", "allow_pickle: true", r":4: models\.0\.allow_pickle: .*policy\.yaml"),
        ("chat.TextChat", "converted: /tmp/x", r":4: models\.0\.converted"),
        ("upstream.UpstreamChat", "skip_download: true", r":2: models\.0: .*needs upstream_base_url"),
        ("chat.TextChat", "defaults: {temprature: 1}", r":4: models\.0\.defaults\.temprature"),
        ("chat.TextChat", "defaults: {temperature: -1}", r":4: models\.0\.defaults\.temperature"),
        ("chat.TextChat", "defaults: {top_p: 2}", r":4: models\.0\.defaults\.top_p"),
    ],
)
def test_what_a_handler_does_not_take_is_told(tmp_path: Path, handler: str, line: str, told: str) -> None:
    with pytest.raises(InvalidConfiguration, match=told):
        read(tmp_path, f"handler: {PACKAGE}.{handler}", line)


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        ("no_such_module.Class", r"models\.yaml:3: models\.0\.handler: There is no module no_such_module"),
        ("weighbridge.handlers.chat.NoSuch", r":3: models\.0\.handler: The module .* has no class NoSuch"),
        ("weighbridge.handlers.inference.HandlerError", r":3: models\.0\.handler: .*methods of any kind"),
        ("chat", r":3: models\.0\.handler: “chat” is not the path"),
        ("../chat.Chat", r":3: models\.0\.handler"),
    ],
)
def test_a_bad_handler_is_told_with_its_line(tmp_path: Path, handler: str, told: str) -> None:
    with pytest.raises(InvalidConfiguration, match=told):
        read(tmp_path, f"handler: {handler}")


def test_a_class_of_ones_own_names_its_options(tmp_path: Path, own: str) -> None:
    entry = read(tmp_path, f"handler: {own}.Named", "window: 4", "pooling: attention")
    assert handler_options(entry) == {"window": 4, "pooling": "attention"}
    with pytest.raises(InvalidConfiguration, match=r":4: models\.0\.windows: .* are window, pooling"):
        read(tmp_path, f"handler: {own}.Named", "windows: 4")
    with pytest.raises(InvalidConfiguration, match=r"models\.0\.dtype: the handler takes no such option"):
        read(tmp_path, f"handler: {own}.Named", "dtype: float32")


def test_a_class_that_names_none_takes_those_of_the_schema(tmp_path: Path, own: str) -> None:
    assert handler_options(read(tmp_path, f"handler: {own}.Plain", "pooling: mean")) == {"pooling": "mean"}
    with pytest.raises(InvalidConfiguration, match=r"models\.0\.window"):
        read(tmp_path, f"handler: {own}.Plain", "window: 4")


def test_a_class_takes_what_its_base_elsewhere_does(tmp_path: Path, own: str) -> None:
    assert handler_options(read(tmp_path, f"handler: {own}.Chat", "dtype: float32")) == {"dtype": "float32"}
    with pytest.raises(InvalidConfiguration, match=r"models\.0\.window"):
        read(tmp_path, f"handler: {own}.Chat", "window: 4")


def test_a_list_made_by_code_is_judged_when_the_model_is_loaded(tmp_path: Path, own: str) -> None:
    assert handler_options(read(tmp_path, f"handler: {own}.Computed", "window: 4")) == {"window": 4}
