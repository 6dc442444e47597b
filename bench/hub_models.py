"""Generated models of a Hub, as many as are wanted, with names, tags and figures spread as those of the real one.

The same seed makes the same models. Not here: what is measured with them (bench.hub_search).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from weighbridge.domain.hub_models import Gated, HubModel, base_models_of, licence_of


def _words(text: str) -> list[str]:
    return text.split()


_FAMILIES = _words(
    "llama Llama-3.1 Llama-3.2 Qwen2.5 Qwen3 Mistral gemma-3 phi-4 bert roberta distilbert t5 whisper wav2vec2 flux "
    "sdxl stable-diffusion vit clip deepseek-r1 gpt2 opt falcon pythia mpt starcoder codellama yi internlm glm mixtral "
    "electra deberta xlm-roberta bart pegasus marian opus-mt segformer yolo dinov2 musicgen bark vits speecht5"
)
_ENDINGS = _words(
    "instruct chat base finetuned lora qlora gguf awq gptq merged sft dpo grpo v1 v2 v3 test final large small tiny "
    "multilingual sentiment ner summarization classification embedding reranker emotion squad imdb medical legal code "
    "math reasoning roleplay uncensored abliterated 4bit 8bit fp16 bf16 int8 onnx mlx exl2 imatrix i1 ft adapter"
)
_SIZES = _words("0.5B 1B 1.5B 3B 7B 8B 13B 14B 32B 70B 405B")
_TASKS = _words(
    "text-generation text-classification automatic-speech-recognition text-to-image feature-extraction "
    "token-classification image-classification question-answering translation reinforcement-learning "
    "sentence-similarity fill-mask image-text-to-text object-detection text-to-speech"
)
_LIBRARIES = _words("transformers diffusers peft gguf sentence-transformers stable-baselines3 timm keras mlx")
_LICENCES = _words("apache-2.0 mit other llama3.1 llama3 gemma cc-by-nc-4.0 creativeml-openrail-m openrail cc-by-4.0")
_TOPICS = _words(
    "pytorch tensorboard onnx jax conversational text-generation-inference endpoints_compatible autotrain_compatible "
    "generated_from_trainer trl sft dpo unsloth lora quantized 4-bit 8-bit bitsandbytes mergekit merge llama qwen2 "
    "mistral bert roberta gemma phi custom_code imatrix llama-factory axolotl mteb not-for-all-audiences"
)
_LANGUAGES = _words("en zh fr de es ja ko ru ar hi pt it vi th id tr pl nl fa he uk cs sv multilingual")
_RELATIONS = ("finetune", "adapter", "quantized", "merge")
_BEGAN = datetime(2022, 3, 2, tzinfo=UTC)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def models(rows: int, seed: int = 0) -> Iterator[HubModel]:
    """Yield as many models, in the order of their creation."""
    chance = random.Random(seed)
    authors = ["".join(chance.choices(_LETTERS, k=chance.randint(3, 14))) for _ in range(max(10, rows // 6))]
    span = timedelta(days=1700) / rows
    known: list[str] = []
    for place in range(rows):
        made = _model(place, authors, known, _BEGAN + place * span, chance)
        if place % 8 == 0:
            known.append(made.id)
        yield made


def later(model: HubModel, chance: random.Random) -> HubModel:
    """Return a model as the Hub lists it a night later: mostly with a few more downloads."""
    from dataclasses import replace

    drift = chance.random()
    return replace(
        model,
        downloads=(model.downloads or 0) + chance.randint(0, 3) if drift < 0.5 else model.downloads,
        downloads_all_time=(model.downloads_all_time or 0) + (1 if drift < 0.5 else 0),
        likes=(model.likes or 0) + (drift < 0.01),
        gated=Gated.AUTO if drift < 0.0001 else model.gated,
    )


def _model(place: int, authors: list[str], known: list[str], created: datetime, chance: random.Random) -> HubModel:
    skew = chance.random() ** 3
    author = authors[int(skew * len(authors))]
    family, size = chance.choice(_FAMILIES), chance.choice(_SIZES)
    parts = [family, size, *chance.sample(_ENDINGS, chance.randint(0, 3))]
    if chance.random() < 0.4:
        parts.append("".join(chance.choices(_LETTERS, k=chance.randint(4, 8))))
    task = _TASKS[int(chance.random() ** 2 * len(_TASKS))] if chance.random() < 0.6 else ""
    library = _LIBRARIES[int(chance.random() ** 2.5 * len(_LIBRARIES))] if chance.random() < 0.7 else ""
    tags = [one for one in (library, task) if one]
    tags += chance.sample(_TOPICS, int(chance.random() ** 1.5 * 9))
    if known and chance.random() < 0.55:
        base = known[int(chance.random() ** 4 * len(known))]
        tags += [f"base_model:{base}", f"base_model:{chance.choice(_RELATIONS)}:{base}"]
    if chance.random() < 0.25:
        tags.append(f"dataset:{authors[int(chance.random() ** 4 * len(authors))]}/{chance.choice(_ENDINGS)}")
    if chance.random() < 0.2:
        tags.append(f"arxiv:{int(2300 + chance.random() ** 2 * 300)}.{int(chance.random() ** 3 * 18000):05d}")
    if chance.random() < 0.4:
        tags.append(_LANGUAGES[int(chance.random() ** 3 * len(_LANGUAGES))])
    if chance.random() < 0.5:
        tags.append(f"license:{_LICENCES[int(chance.random() ** 2 * len(_LICENCES))]}")
    tags = list(dict.fromkeys([*tags, "region:us"]))
    downloads = int(chance.paretovariate(0.6)) % 50_000_000 if chance.random() < 0.7 else 0
    parameters = int(float(size[:-1]) * 1e9 * (0.9 + chance.random() / 5)) if chance.random() < 0.5 else None
    gate = chance.random()
    return HubModel(
        f"{author}/{'-'.join(parts)}",
        f"{int(created.timestamp()):08x}{chance.getrandbits(64):016x}",
        f"{chance.getrandbits(160):040x}",
        Gated.AUTO if gate < 0.01 else Gated.MANUAL if gate < 0.015 else Gated.NO,
        gate > 0.9995,
        created,
        created + timedelta(seconds=chance.random() ** 3 * 40_000_000),
        downloads,
        downloads * 7,
        int(chance.paretovariate(0.9)) - 1 if gate < 0.3 else 0,
        float(int(chance.paretovariate(0.9)) - 1) if gate < 0.02 else 0.0,
        library,
        task,
        licence_of(tags),
        base_models_of(tags),
        tuple(tags),
        parameters,
        "safetensors" if parameters else "",
        parameters and parameters * 2,
        parameters and parameters * 2 + 10**9,
    )
