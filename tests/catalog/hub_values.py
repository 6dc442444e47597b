"""Models of the Hub for tests: made from a number, the same ones each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from weighbridge.domain.hub_models import Gated, HubModel

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
_WORDS = ("llama", "instruct", "gguf", "qwen", "mistral", "bert", "lora", "chat", "whisper", "merge", "base")
_AUTHORS = ("meta-llama", "Qwen", "TheBloke", "mradermacher", "google", "Helsinki-NLP", "someone")
_TASKS = ("text-generation", "text-classification", "automatic-speech-recognition", "")
_LICENCES = ("apache-2.0", "mit", "llama3.1", "")


def hub_model(place: int) -> HubModel:
    """Return the model of a place in the order in which models were created."""
    mixed = place * 2654435761 % 2**32  # Neighbours differ in everything.
    words = "-".join(_WORDS[mixed // 7**turn % len(_WORDS)] for turn in range(3))
    name = f"{_AUTHORS[mixed % 7]}/{words}-{place}"
    task, licence = _TASKS[mixed // 11 % 4], _LICENCES[mixed // 13 % 4]
    base = f"meta-llama/Llama-{mixed // 17 % 40}" if mixed % 3 else ""
    tags = ("transformers", *([task] if task else ()), *([f"license:{licence}"] if licence else ()), "region:us")
    if base:
        tags = (*tags, f"base_model:{base}", f"base_model:finetune:{base}")
    created = datetime(2022, 3, 2, tzinfo=UTC) + timedelta(minutes=place)
    parameters = (mixed // 19 % 700 + 1) * 10**8 if mixed % 5 else None
    return HubModel(
        name,
        f"{place:024x}",
        f"{mixed:040x}",
        Gated.AUTO if mixed % 97 == 0 else Gated.MANUAL if mixed % 89 == 0 else Gated.NO,
        mixed % 991 == 0,
        created,
        created + timedelta(minutes=mixed % 100_000),
        *(mixed % 1000 if mixed % 50 else mixed % 1_000_000, mixed % 3_000_000),
        mixed % 9,
        float(mixed % 4),
        "transformers",
        *(task, licence),
        *((base,) if base else (), tags),
        *(parameters, "safetensors" if parameters else "", parameters and parameters * 2),
        parameters and parameters * 2 + 10**9,
    )
