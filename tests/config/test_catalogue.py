"""The catalogue that ships: every model of the guide, each with a handler that exists."""

from __future__ import annotations

from pathlib import Path

from weighbridge.config.models_file import read_models
from weighbridge.handlers.choosing import HANDLERS

ENTRIES = {entry.hf_repo_id: entry for entry in read_models(Path("models.yaml"))}


def test_it_has_the_twenty_two_models_of_the_guide() -> None:
    repositories = set(ENTRIES) - {""}
    assert len(repositories) == 22
    kinds = [entry.handler.rpartition(".")[2] for repository, entry in ENTRIES.items() if repository]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "TextEmbedding": 4,
        "TextChat": 4,
        "VisionChat": 4,
        "WhisperSpeech": 10,
    }


def test_their_handlers_are_those_that_a_task_would_choose() -> None:
    assert {entry.handler for entry in ENTRIES.values()} <= set(HANDLERS.values())


def test_gated_models_name_the_place_of_a_token() -> None:
    gated = {repository for repository, entry in ENTRIES.items() if entry.auth}
    assert gated == {
        "google/embeddinggemma-300m",
        "meta-llama/Llama-3.2-1B-Instruct",
        "meta-llama/Llama-3.2-3B-Instruct",
    }
