"""Tests of registries.load_lines: the line for each kind of model is valid Python and holds names as literals only."""

import ast

import pytest

from tests.views.test_markdown import version
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.registries.load_lines import load_line


def line(*paths: str, task: str = "") -> str:
    entries = tuple(FileEntry(path, 1, Digest("sha256", "ab" * 32)) for path in paths)
    card = ModelCard({"task": Field(task, "x")} if task else {})
    known: ModelVersion = version(manifest=Manifest(ModelRef.parse("mock:a/b"), entries), card=card)
    found = load_line(known)
    ast.parse(found)
    return found


@pytest.mark.parametrize(
    ("paths", "task", "words"),
    [
        (("config.json", "model.safetensors"), "text-generation", "AutoModelForCausalLM.from_pretrained(path)"),
        (("config.json", "pytorch_model.bin"), "", "AutoModel.from_pretrained(path)"),
        (("config.json", "model.safetensors"), "a new task", "AutoModel.from_pretrained(path)"),
        (
            ("modules.json", "config_sentence_transformers.json", "config.json", "model.safetensors"),
            "",
            "SentenceTransformer(path)",
        ),
        (("b.gguf", "a.gguf"), "", "gguf_file='a.gguf'"),
        (("weights.npy",), "", "os.listdir(path)"),
    ],
)
def test_lines(paths: tuple[str, ...], task: str, words: str) -> None:
    assert words in line(*paths, task=task)


@pytest.mark.parametrize("name", ["a'); import os; os.abort() #.gguf", 'a"b.gguf'])
def test_a_hostile_name_stays_a_literal(name: str) -> None:
    calls = [node.func for node in ast.walk(ast.parse(line(name))) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls] == ["AutoModelForCausalLM.from_pretrained"]
