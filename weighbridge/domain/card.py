"""The model card: what a model is, each field with the place where it was read.

Values only; reading headers is `weighbridge.content.headers`' work and collecting them is that of
`weighbridge.content.cards.describe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Value = str | int | float | bool | list[str] | dict[str, Any]


class Field(NamedTuple):
    """One value of a card.

    Attributes:
        value: plain JSON.
        read_from: where: `config.json#max_position_embeddings`, `model.gguf#llama.context_length`.
    """

    value: Value
    read_from: str


#: The fields a card may have, in the order a person reads them, with what each means and its unit.
FIELDS = {
    "architecture": "model family as its weights name it: llama, bert, whisper",
    "parameter_count": "number of weights, counted from tensor shapes",
    "context_length": "tokens",
    "quantization": "how the weights are stored, by share: Q4_1, F16, FP8",
    "dtypes": "weights per data type",
    "vocab_size": "tokens",
    "hidden_size": "width of the residual stream",
    "layers": "blocks",
    "task": "what it is for, in the Hub's words: text-generation, feature-extraction",
    "licence": "SPDX expression, or the licence's own name",
    "base_model": "what it was made from",
    "languages": "ISO 639 codes",
    "tags": "free words",
    "description": "one sentence",
    "chat_template": "sha256 of the template",
    "tokenizer": "kind of tokenizer",
    "weights_size": "bytes of weights on disk",
    "memory_size": "bytes of memory it needs: weights, plus cache for the whole context where known",
    "requirements": "hardware: min_gpu_memory_gb",
    "formats": "file formats present",
    "missing_files": "files that the model's own indexes name and it lacks, each with the one that names it",
}


@dataclass(frozen=True)
class ModelCard:
    """What a model is, by field name of `FIELDS`; a field that could not be read is absent."""

    fields: Mapping[str, Field] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """Return a field's value, or None."""
        found = self.fields.get(name)
        return found.value if found else None

    def to_json(self) -> dict[str, Any]:
        """Return `{name: {value, read_from}}` in reading order."""
        return {
            name: {"value": self.fields[name].value, "read_from": self.fields[name].read_from}
            for name in FIELDS
            if name in self.fields
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelCard:
        """Read what `to_json` wrote."""
        return cls({name: Field(found["value"], found["read_from"]) for name, found in value.items()})
