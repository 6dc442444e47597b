"""A model folder of the gate's own set: what it holds, whether it is hostile, and which rule should say so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.content.headers.samples import TWO, safetensors

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Sample:
    """One model folder.

    Attributes:
        name: unique.
        files: makes its files by path; every folder gets a README with a licence and a safetensors file beside them.
        rules: any one of them has to reject it under `standard`; empty for a harmless one.
        source: the advisory, bug report or documentation that it follows.
    """

    name: str
    files: Callable[[], Files]
    rules: tuple[str, ...] = ()
    source: str = ""

    @property
    def hostile(self) -> bool:
        """Whether it must not pass."""
        return bool(self.rules)

    def content(self) -> dict[str, bytes]:
        """Return every file of the folder."""
        return {**GOOD, **self.files()}


def as_json(value: Any) -> bytes:
    """Return a value as a JSON file."""
    return json.dumps(value).encode()


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4, "vocab_size": 8}
GOOD: dict[str, bytes] = {
    "README.md": b"---\nlicense: apache-2.0\n---\n# A model\n\nIt is small and answers nothing.\n",
    "config.json": as_json(LLAMA),
    "model.safetensors": safetensors({"a": TWO, "__metadata__": {"format": "pt"}}, bytes(8)),
}
