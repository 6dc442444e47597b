"""What is declared beside what the files say: what fills gaps, what contradicts, and what is close enough."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.declarations import ModelDeclaration, changed, completed, contradictions


def card(**fields: Any) -> ModelCard:
    return ModelCard({name: Field(value, "config.json") for name, value in fields.items()})


def said(**content: Any) -> ModelDeclaration:
    return ModelDeclaration(content, "key:ci", "2026-11-28T12:00:00+00:00")


def test_a_change_sets_what_it_names_and_takes_back_what_is_null() -> None:
    before = {"architecture": "llama", "tags": ["a"], "description": "x"}
    assert changed(before, {"tags": ["b"], "description": None}) == {"architecture": "llama", "tags": ["b"]}
    assert changed(before, {}) == before
    assert changed({"tags": ["a"]}, {"tags": []}) == {}
    assert changed({}, {"changelog": "no field of a model"}) == {}


def test_files_count_and_a_declaration_fills_the_gaps() -> None:
    read = card(architecture="llama", tags=["en"], description="of the README", requirements={"min_gpu_memory_gb": 3})
    found = completed(
        read,
        said(
            architecture="bert",
            parameter_count=7,
            license_type="Llama-3.1-Community",
            description="ours",
            tags=["chat", "en"],
            requirements={"min_gpu_memory_gb": 1, "recommended_gpu": "h100"},
        ),
    )
    assert {name: field["value"] for name, field in found.to_json().items()} == {
        "architecture": "llama",
        "parameter_count": 7,
        "licence": "Llama-3.1-Community",
        "tags": ["en", "chat"],
        "description": "ours",
        "requirements": {"min_gpu_memory_gb": 3, "recommended_gpu": "h100"},
    }
    assert found.fields["parameter_count"].read_from == "declared by key:ci"
    assert completed(read, None) == read


@pytest.mark.parametrize(
    ("read", "declared"),
    [
        ({"parameter_count": 6_738_415_616}, {"parameter_count": 7_000_000_000}),
        ({"parameter_count": 70_553_706_496}, {"parameter_count": 70_000_000_000}),
        ({"context_length": 131_072}, {"context_length": 128_000}),
        ({"context_length": 32_768}, {"context_length": 32_000}),
        ({"architecture": "llama"}, {"architecture": "LlamaForCausalLM"}),
        ({"architecture": "gpt2"}, {"architecture": "GPT2LMHeadModel"}),
        ({"architecture": "gpt_neox"}, {"architecture": "GPT-NeoX"}),
        ({"licence": "Apache-2.0"}, {"license_type": "apache 2.0"}),
        ({"licence": "llama3.1"}, {"license_type": "Llama-3.1-Community"}),
        ({"licence": "MIT OR Apache-2.0"}, {"license_type": "mit"}),
        ({"licence": "llama3.1"}, {"license_restrictions": {"monthly_active_users_limit": 700_000_000}}),
        ({"licence": "our-terms"}, {"license_restrictions": {"commercial_use": False}}),
        ({}, {"parameter_count": 7, "architecture": "llama", "license_type": "mit", "context_length": 8}),
        ({"parameter_count": 8_000_000_000}, {}),
    ],
)
def test_what_agrees(read: dict[str, Any], declared: dict[str, Any]) -> None:
    assert contradictions(card(**read), said(**declared)) == ()


@pytest.mark.parametrize(
    ("read", "declared", "message"),
    [
        (
            {"parameter_count": 8_000_000_000},
            {"parameter_count": 7_000_000_000},
            "parameter_count: 7,000,000,000 was declared, but the files say 8,000,000,000 (config.json).",
        ),
        (
            {"context_length": 4096},
            {"context_length": 8192},
            "context_length: 8,192 was declared, but the files say 4,096 (config.json).",
        ),
        (
            {"architecture": "llama"},
            {"architecture": "llama4"},
            "architecture: llama4 was declared, but the files say llama (config.json).",
        ),
        (
            {"licence": "CC-BY-NC-4.0"},
            {"license_type": "mit"},
            "license_type: mit was declared, but the files say CC-BY-NC-4.0 (config.json).",
        ),
        (
            {"licence": "MIT AND CC-BY-NC-4.0"},
            {"license_type": "mit"},
            "license_type: mit was declared, but the files say MIT AND CC-BY-NC-4.0 (config.json).",
        ),
        (
            {"licence": "CC-BY-NC-4.0"},
            {"license_restrictions": {"commercial_use": True}},
            "license_restrictions: commercial_use was declared as true, but by the licence CC-BY-NC-4.0 it is false.",
        ),
        (
            {},
            {"license_type": "apache-2.0", "license_restrictions": {"monthly_active_users_limit": 1000}},
            "license_restrictions: monthly_active_users_limit was declared as 1,000, but by the licence Apache-2.0 "
            "it is no limit.",
        ),
    ],
)
def test_what_contradicts(read: dict[str, Any], declared: dict[str, Any], message: str) -> None:
    assert contradictions(card(**read), said(**declared)) == (message,)


def test_hostile_words_are_shown_harmless() -> None:
    (message,) = contradictions(card(architecture="llama"), said(architecture="\x1b[31mbert\n"))
    assert message.isprintable()
