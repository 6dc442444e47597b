"""Generated models of a simulated Hub: any number of them from a seed, each made when it is asked for.

A model is known by its index. `createdAt` grows with the index; the oldest fortieth share one moment, as the Hub's
oldest do, and later ones come in pairs. What a test changes is kept apart. Not here: requests (hub_list).
"""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

#: The moment that the Hub gives for all models from before it kept one, and the newest one, in milliseconds.
FIRST_MS, LAST_MS = 1_646_263_744_000, 1_793_500_000_000
VARIANTS = 61
_SHARE_OF_FIRST = 40
_STEP_OF_SHA = 0x9E3779B97F4A7C15F39CC0605CEDC8341082276B
#: Odd factors of the orders that follow no time.
_FACTORS = {"downloads": 2_654_435_761, "likes": 40_503, "trendingScore": 0x27D4EB2F}
#: Models of the spec, in place of the first ones.
KNOWN: tuple[dict[str, Any], ...] = (
    {
        "id": "meta-llama/Llama-3.1-8B-Instruct",
        "gated": "auto",
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "tags": ["transformers", "safetensors", "text-generation", "license:llama3.1", "region:us"],
        "safetensors": {"parameters": {"BF16": 8_030_261_248}, "total": 8_030_261_248},
        "gguf": None,
    },
    {
        "id": "meta-llama/Llama-3.1-405B-Instruct",
        "gated": "manual",
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "tags": ["transformers", "safetensors", "text-generation", "license:llama3.1", "region:us"],
        "safetensors": {"parameters": {"BF16": 405_853_388_800}, "total": 405_853_388_800},
        "gguf": None,
    },
    {
        "id": "Qwen/Qwen2.5-1.5B-Instruct",
        "gated": False,
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "tags": ["transformers", "safetensors", "text-generation", "license:apache-2.0", "region:us"],
        "safetensors": {"parameters": {"BF16": 1_543_714_304}, "total": 1_543_714_304},
        "gguf": None,
    },
)
#: Fields that every row has, whatever `expand` says, and those of a list without `expand`.
_ALWAYS = ("_id", "id")
PLAIN = (
    *("_id", "id", "likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "library_name"),
    *("createdAt", "modelId"),
)
_TASKS = ("text-generation", "text-classification", "text-to-image", "feature-extraction", "fill-mask", None)
_LIBRARIES = ("transformers", "diffusers", "peft", "sentence-transformers", "gguf", None)
_LICENCES = ("apache-2.0", "mit", "other", "llama3.1", "openrail", None)
_FAMILIES = ("Llama-3.1", "Qwen2.5", "bert-base", "gemma-2", "phi-4", "sd-lora", "whisper")
_SIZES = ("0.5B", "1.5B", "7B", "8B-Instruct", "70B", "8x7B", "finetuned", "Q4_K_M-GGUF")


class GeneratedModels:
    """The models; safe for one writer and several readers.

    Args:
        count: how many there are at first.
        seed: what they are generated from.
        known: whether the first are those of `KNOWN`.

    Attributes:
        count: the indexes so far; deleted models keep theirs.
        overrides: fields that differ from the generated ones, by index.
        raw: JSON in place of a row, by index.
        deleted: indexes of models that are no more.
        epoch: how often the order by trendingScore has moved.
    """

    def __init__(self, count: int, seed: int = 0, *, known: bool = True) -> None:
        self.count, self.seed, self.epoch = count, seed, 0
        self.capacity = 1 << max(4, (2 * count).bit_length())
        self.overrides: dict[int, dict[str, Any]] = {}
        self.raw: dict[int, bytes] = {}
        self.deleted: set[int] = set()
        self.former: dict[str, int] = {}
        self._named: dict[str, int] = {}
        self._touched: list[tuple[int, int]] = []
        self._first = count // _SHARE_OF_FIRST
        self._step = max(1, (LAST_MS - FIRST_MS) // max(1, (count - self._first) // 2 + 1))
        self.variants = [_variant(random.Random(seed * VARIANTS + number)) for number in range(VARIANTS)]
        self._templates: dict[tuple[int, tuple[str, ...]], str] = {}
        for index, fields in enumerate(KNOWN if known else ()):
            if index < count:
                self.change(index, **fields)

    def id(self, index: int) -> str:
        """The name of a model now."""
        changed = self.overrides.get(index)
        return changed["id"] if changed and "id" in changed else self._id(index)

    def _id(self, index: int) -> str:
        if index % 997 == 5:
            return f"legacy-{index:07d}"
        return f"org-{index * 7 % 1009}/{self.variants[index % VARIANTS]['name']}-{index:07d}"

    def ids(self) -> set[str]:
        """The names of all models that there are: the truth of a full listing."""
        return {self.id(index) for index in range(self.count) if index not in self.deleted and index not in self.raw}

    def find(self, name: str) -> int | None:
        """The index of a model, by its name in any case of letters; None for none."""
        found = self._named.get(name.lower())
        if found is None and name[-7:].isdigit():
            found = int(name[-7:])
        known = found is not None and found < self.count and found not in self.deleted
        return found if found is not None and known and self.id(found).lower() == name.lower() else None

    def created_ms(self, index: int) -> int:
        """When it was made."""
        return FIRST_MS if index < self._first else FIRST_MS + (1 + (index - self._first) // 2) * self._step

    def score(self, index: int, sort: str) -> int:
        """Its place in an order that follows no time: no two are the same."""
        return (index * _FACTORS[sort] + self.seed + self._shift(sort)) % self.capacity

    def _shift(self, sort: str) -> int:
        return self.epoch * (self.capacity // 97 | 1) if sort == "trendingScore" else 0

    def values(self, index: int) -> dict[str, Any]:
        """The fields that differ from model to model, as JSON."""
        created, name = _iso(self.created_ms(index)), self._id(index)
        return {
            "_id": f'"{index + 1:024x}"',
            "id": f'"{name}"',
            "modelId": f'"{name}"',
            "author": json.dumps(name.rpartition("/")[0] or None),
            "sha": f'"{(index + 1) * _STEP_OF_SHA % 2**160:040x}"',
            "createdAt": f'"{created}"',
            "lastModified": f'"{created}"',
            "downloads": self.score(index, "downloads"),
            "downloadsAllTime": self.score(index, "downloads") * 9,
            "likes": self.score(index, "likes") % 5000,
            "trendingScore": self.score(index, "trendingScore"),
        }

    def row(self, index: int, fields: Sequence[str]) -> bytes:
        """A model's row in a list, with these fields."""
        if index in self.raw:
            return self.raw[index]
        if index in self.overrides:
            return json.dumps(self.document(index, fields)).encode()
        return self._generated(index, tuple(fields)).encode()

    def _generated(self, index: int, fields: tuple[str, ...]) -> str:
        key = (index % VARIANTS, fields)
        if key not in self._templates:
            fixed = {name: json.dumps(value).replace("%", "%%") for name, value in self.variants[key[0]].items()}
            names = dict.fromkeys((*_ALWAYS, *fields))
            body = (f'"{name}":{fixed[name]}' if name in fixed else f'"{name}":%({name})s' for name in names)
            self._templates[key] = "{" + ",".join(body) + "}"
        return self._templates[key] % self.values(index)

    def document(self, index: int, fields: Sequence[str] = ()) -> dict[str, Any]:
        """A model with these fields, or with all."""
        names = dict.fromkeys((*_ALWAYS, *(fields or (*PLAIN, *FIELDS))))
        found: dict[str, Any] = json.loads(self._generated(index, tuple(names)))
        changed = self.overrides.get(index, {})
        if "id" in changed:
            changed = {"modelId": changed["id"], "author": changed["id"].rpartition("/")[0], **changed}
        return found | {name: value for name, value in changed.items() if name in names}

    def change(self, index: int, *, at_ms: int | None = None, **fields: Any) -> None:
        """Change fields of a model; `at_ms` also moves its lastModified, beyond all generated ones."""
        known = self.overrides.setdefault(index, {})
        if "id" in fields:
            self.former[self.id(index).lower()] = index
            self._named[fields["id"].lower()] = index
        if at_ms is not None:
            self._touched = [pair for pair in self._touched if pair[1] != index]
            insort(self._touched, (at_ms, index))
            fields["lastModified"] = _iso(at_ms)
        known.update(fields)

    def add(self, count: int = 1) -> None:
        """Add new models at the end."""
        self.count += count

    def indexes(self, sort: str, *, ascending: bool, after: tuple[Any, int | None] | None) -> Iterator[int]:
        """Yield the indexes in an order, behind a key: the value of the sorted field, and an index or None."""
        if sort == "createdAt":
            order: Iterator[int] = self._by_creation(ascending, after)
        elif sort == "lastModified":
            order = self._by_change(ascending, after)
        else:
            order = self._by_score(sort, ascending, after)
        return (index for index in order if index not in self.deleted)

    def _by_creation(self, ascending: bool, after: tuple[Any, int | None] | None) -> Iterator[int]:
        if after is None:
            return iter(range(self.count) if ascending else range(self.count - 1, -1, -1))
        value, index = after
        if index is None:
            everything = range(self.count)
            index = bisect_left(everything, value + ascending, key=self.created_ms) - ascending
        return iter(range(index + 1, self.count) if ascending else range(index - 1, -1, -1))

    def _by_change(self, ascending: bool, after: tuple[Any, int | None] | None) -> Iterator[int]:
        touched = {index for _, index in self._touched}
        base = ((self.created_ms(index), index) for index in range(self.count - 1, -1, -1) if index not in touched)
        order = [*reversed(self._touched), *base]
        mark = None if after is None else (after[0], math.inf if after[1] is None else after[1])
        for pair in reversed(order) if ascending else order:
            if mark is None or (pair > mark if ascending else pair < mark):
                yield pair[1]

    def _by_score(self, sort: str, ascending: bool, after: tuple[Any, int | None] | None) -> Iterator[int]:
        inverse = pow(_FACTORS[sort], -1, self.capacity)
        base = self.seed + self._shift(sort)
        scores = range(self.capacity) if ascending else range(self.capacity - 1, -1, -1)
        if after is not None:
            scores = range(after[0] + 1, self.capacity) if ascending else range(after[0] - 1, -1, -1)
        for score in scores:
            index = (score - base) * inverse % self.capacity
            if index < self.count:
                yield index

    def key(self, index: int, sort: str) -> Any:
        """The value by which an order has a model."""
        if sort == "createdAt":
            return self.created_ms(index)
        if sort == "lastModified":
            return next((at for at, known in self._touched if known == index), self.created_ms(index))
        return self.score(index, sort)


def _variant(chance: random.Random) -> Mapping[str, Any]:
    task, library, licence = chance.choice(_TASKS), chance.choice(_LIBRARIES), chance.choice(_LICENCES)
    size = chance.randrange(10**8, 10**11)
    tags = [text for text in (library, "safetensors", task, "en") if text]
    tags += [f"license:{licence}"] if licence else []
    tags += ["base_model:meta-llama/Llama-3.1-8B", "base_model:finetune:meta-llama/Llama-3.1-8B", "region:us"]
    tensors = {"parameters": {"BF16": size}, "total": size} if chance.random() < 0.6 else None
    return {
        "name": f"{chance.choice(_FAMILIES)}-{chance.choice(_SIZES)}",
        "private": False,
        "disabled": False,
        "gated": chance.choices((False, "auto", "manual", True), (90, 6, 3, 1))[0],
        "tags": tags,
        "pipeline_tag": task,
        "library_name": library,
        "safetensors": tensors,
        "gguf": {"total": size, "architecture": "llama", "context_length": 131_072} if library == "gguf" else None,
        "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tokenizer_config": {}},
        "cardData": {"license": licence, "language": ["en"]},
        "siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}],
    }


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


#: The fields that `expand` may ask of a list.
FIELDS = (
    *("author", "cardData", "config", "createdAt", "disabled", "downloads", "downloadsAllTime", "gated", "gguf"),
    *("lastModified", "library_name", "likes", "pipeline_tag", "private", "safetensors", "sha", "siblings", "tags"),
    "trendingScore",
)
