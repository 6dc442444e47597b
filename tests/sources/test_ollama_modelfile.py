"""Modelfiles as text. That Ollama's own parser reads the same values from them was tried by hand over 20,000 of them:
its parser is Go, and its binary is in no package index."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.ociregistry import CONFIG, Blob, manifest
from weighbridge.errors import ModelNotFound, SourceMisbehaved, UnsafePath
from weighbridge.net.oci.manifest import read_manifest
from weighbridge.sources.ollama_layers import LayerFile, layer_files
from weighbridge.sources.ollama_modelfile import modelfile, runs_elsewhere

HEAD = "# Written by Weighbridge from the layers of the model: ollama create NAME -f Modelfile\n"
MODEL = Blob.of("model", b"GGUF")


def files(*layers: Blob, config: Blob = CONFIG) -> tuple[LayerFile, ...]:
    return layer_files(read_manifest(manifest(layers, config), "", "the model"), "the model")


def written(*layers: Blob, config: Blob = CONFIG) -> str:
    """Return the Modelfile of a model, without its first line."""
    found = files(*layers, config=config)
    contents = {blob.digest: blob.content for blob in (*layers, config)}
    text = modelfile(found, {file.path: contents[str(file.layer.digest)] for file in found})
    assert text is not None
    assert text.decode().startswith(HEAD)
    return text.decode().removeprefix(HEAD)


def settings(**values: Any) -> Blob:
    return Blob(CONFIG.media_type, json.dumps(values).encode())


class TestFiles:
    def test_each_layer_is_one_file(self) -> None:
        unknown = Blob("application/x-secret", b"?")
        found = files(
            MODEL,
            *(Blob.of("projector", b"p%d" % number) for number in range(3)),
            Blob.of("adapter", b"a"),
            Blob.of("draft", b"d"),
            Blob.of("prompt", b"t"),
            Blob.of("system", b"s"),
            Blob.of("params", b"{}"),
            Blob.of("messages", b"[]"),
            *(Blob.of("license", b"l%d" % number) for number in range(3)),
            Blob.of("tensor", b"w", name="text_encoder/a.weight"),
            Blob.of("json", b"{ }", name="text_encoder/config.json"),
            Blob.of("tensor", b"no name"),
            unknown,
        )
        names = [file.entry.path for file in found]
        assert names[:-2] == [
            *("model.gguf", "projector.gguf", "projector-2.gguf", "projector-3.gguf", "adapter.gguf", "draft.gguf"),
            *("template", "system", "params.json", "messages.json", "LICENSE", "LICENSE-2", "LICENSE-3"),
            *("tensors/text_encoder/a.weight.safetensors", "text_encoder/config.json"),
            f"layers/sha256-{Blob.of('tensor', b'no name').digest.removeprefix('sha256:')}",
        ]
        assert names[-2:] == [f"layers/sha256-{unknown.digest.removeprefix('sha256:')}", "ollama.json"]

    @pytest.mark.parametrize("role", ["template", "system", "params", "messages"])
    def test_two_where_ollama_has_one(self, role: str) -> None:
        with pytest.raises(SourceMisbehaved, match=f"type {role}"):
            files(MODEL, Blob.of(role, b"1"), Blob.of(role, b"2"))

    @pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\\b", "a\0b", "a//b", "."])
    @pytest.mark.parametrize("role", ["tensor", "json"])
    def test_names_that_lead_elsewhere(self, role: str, name: str) -> None:
        with pytest.raises(UnsafePath):
            [file.entry for file in files(MODEL, Blob.of(role, b"1", name=f"{name}/x" if role == "tensor" else name))]

    def test_a_container_is_no_model(self) -> None:
        with pytest.raises(ModelNotFound, match="none of its layers"):
            files(Blob("application/vnd.docker.image.rootfs.diff.tar.gzip", b"x"))


class TestModelfile:
    def test_everything_that_ollama_shows(self) -> None:
        text = written(
            MODEL,
            Blob.of("projector", b"p"),
            Blob.of("adapter", b"a"),
            Blob.of("draft", b"d"),
            Blob.of("template", b'{{ if .System }}"{{ .System }}"\n{{ end }}{{ .Prompt }}'),
            Blob.of("system", "Du bist höflich.".encode()),
            Blob.of("params", b'{"stop": ["<|im_end|>", " User:", "\\n"], "num_ctx": 4096.0, "temperature": 0.7}'),
            Blob.of("messages", b'[{"role":"user","content":"Hi\\nthere"},{"role":"assistant","content":"Hello"}]'),
            Blob.of("license", b"MIT\n\nPermission"),
            config=settings(model_format="gguf", renderer="qwen3-coder", parser="qwen3-coder", requires="0.12.0"),
        )
        assert text == (
            "FROM ./model.gguf\nFROM ./projector.gguf\nADAPTER ./adapter.gguf\nDRAFT ./draft.gguf\n"
            'TEMPLATE """{{ if .System }}"{{ .System }}"\n{{ end }}{{ .Prompt }}"""\n'
            'SYSTEM "Du bist höflich."\n'
            "PARAMETER num_ctx 4096\n"
            'PARAMETER stop "<|im_end|>"\nPARAMETER stop " User:"\nPARAMETER stop """\n"""\n'
            "PARAMETER temperature 0.7\n"
            'MESSAGE user """Hi\nthere"""\nMESSAGE assistant "Hello"\n'
            'LICENSE """MIT\n\nPermission"""\n'
            "RENDERER qwen3-coder\nPARSER qwen3-coder\nREQUIRES 0.12.0\n"
        )

    def test_it_does_not_depend_on_the_order_of_keys(self) -> None:
        one, other = (Blob.of("params", text) for text in (b'{"seed":1,"top_k":2}', b'{"top_k":2,"seed":1}'))
        assert written(MODEL, one) == written(MODEL, other)

    @pytest.mark.parametrize(
        "text",
        [
            'print("""x""")',
            '"""\nFROM evil',
            "a\u00a0b",
            "a\u200bb",
            "a\0b",
            "\ufeffa",
            "a\x1b[31m",
            "\u2028",
            b"\xff\xfe",
        ],
    )
    @pytest.mark.parametrize("role", ["template", "system", "license"])
    def test_text_that_would_be_read_as_another_is_left_out(self, role: str, text: str | bytes) -> None:
        content = text if isinstance(text, bytes) else text.encode()
        assert written(MODEL, Blob.of(role, content)).splitlines() == [
            "FROM ./model.gguf",
            f"# {role.upper()} is left out: a Modelfile cannot hold the characters of "
            f"{'LICENSE' if role == 'license' else role}.",
        ]

    @pytest.mark.parametrize("role", ["template", "system", "license"])
    def test_empty_text_is_none(self, role: str) -> None:
        assert written(MODEL, Blob.of(role, b"")) == "FROM ./model.gguf\n"

    @pytest.mark.parametrize(
        ("params", "lines"),
        [
            (b'{"use_mmap": true, "top_p": 1}', ["PARAMETER top_p 1", "PARAMETER use_mmap true"]),
            (b'{"stop": "one"}', ['PARAMETER stop "one"']),
            (b'{"num_gqa": 8}', ["# The parameter num_gqa is left out"]),
            (b'{"num_ctx": 1.5}', ["# The parameter num_ctx is left out"]),
            (b'{"num_ctx": "1\\nFROM evil"}', ["# The parameter num_ctx is left out"]),
            (b'{"num_ctx": true}', ["# The parameter num_ctx is left out"]),
            (b'{"top_p": 1e999}', ["# The parameter top_p is left out"]),
            (b'{"seed": %s}' % (b"9" * 400), ["# The parameter seed is left out"]),
            (b'{"use_mmap": 1}', ["# The parameter use_mmap is left out"]),
            (b'{"stop": ["a", 7]}', ["# The parameter stop is left out"]),
            (b'{"stop": ["\\"\\"\\"\\nFROM evil"]}', ["# The parameter stop is left out"]),
            (b'{"a\\nFROM evil": 1}', ["# The parameter is left out"]),
            (b"[]", ["# params.json is left out"]),
            (b'{"top_p": NaN}', ["# params.json is left out"]),
            (b"[" * 100_000, ["# params.json is left out"]),
            (b"\xff", ["# params.json is left out"]),
        ],
    )
    def test_parameters_that_ollama_takes(self, params: bytes, lines: list[str]) -> None:
        found = written(MODEL, Blob.of("params", params)).splitlines()[1:]
        assert [line.partition(":")[0] if line.startswith("#") else line for line in found] == lines

    @pytest.mark.parametrize(
        "messages",
        [
            [{"role": "tool", "content": "x"}],
            [{"role": "user\nFROM evil", "content": "x"}],
            [{"role": ["user"], "content": "x"}],
            [{"role": "user", "content": "a"}, {"role": "user", "content": '"""'}],
            [{"role": "user", "content": "a", "images": ["aGVsbG8="]}],
            [{"role": "user"}],
            ["x"],
            {},
        ],
    )
    def test_a_conversation_is_whole_or_left_out(self, messages: Any) -> None:
        text = written(MODEL, Blob.of("messages", json.dumps(messages).encode()))
        assert text.splitlines()[1:] == ["# MESSAGE is left out: a Modelfile cannot hold what messages.json says."]

    @pytest.mark.parametrize("value", ["a b", "x\nFROM evil", 'a"', 7, ["x"], "é", "a" * 81])
    @pytest.mark.parametrize("name", ["renderer", "parser", "requires"])
    def test_hostile_settings_are_left_out(self, name: str, value: Any) -> None:
        assert written(MODEL, config=settings(**{name: value})).splitlines()[1:] == [
            f"# {name.upper()} is left out: a Modelfile cannot hold what ollama.json says."
        ]

    def test_what_has_no_place_is_named(self) -> None:
        unknown = Blob("application/x-secret", b"?")
        lines = written(MODEL, unknown, Blob.of("json", b"{}", name="FROM evil")).splitlines()
        assert lines[1].startswith(f"# layers/sha256-{unknown.digest.removeprefix('sha256:')} is left out")
        assert lines[2].startswith("# A file that a layer gives a name to is left out")

    def test_text_that_was_not_read_is_named(self) -> None:
        text = modelfile(files(MODEL, Blob.of("template", b"x")), {"ollama.json": b"{}"})
        assert text is not None
        assert "# template is left out: it is too large." in text.decode().splitlines()

    def test_tensors_have_none(self) -> None:
        assert modelfile(files(Blob.of("tensor", b"w", name="a")), {}) is None


def test_a_model_of_another_server() -> None:
    assert runs_elsewhere({"ollama.json": b'{"remote_host":"https://ollama.com","remote_model":"big"}'})
    assert not runs_elsewhere({"ollama.json": b"{}"})
    assert not runs_elsewhere({})
