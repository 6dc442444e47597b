"""A chat handler whose model says what a test wrote down beside its weights: `answers.json`, by parts of prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import decoders

from weighbridge.handlers.chat import TextChat

ANSWERS = "answers.json"


class ScriptedChat(TextChat):
    """Loads a model as TextChat does, and lets it generate what is written down."""

    def __init__(self, hf_repo_id: str, device: str, cache_dir: str | None = None, **options: Any) -> None:
        super().__init__(hf_repo_id, device, cache_dir, **options)
        self.tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()  # tiny's has none, and would tell letters apart
        self.answers: dict[str, str] = json.loads((Path(hf_repo_id) / ANSWERS).read_text())
        self.model.generate = self._generate

    def _generate(self, input_ids: torch.Tensor, **options: Any) -> torch.Tensor:
        rows = [self._answer(self.tokenizer.decode(row)) for row in input_ids]
        width = max(map(len, rows))
        padded = [row + [self.tokenizer.pad_token_id] * (width - len(row)) for row in rows]
        return torch.cat([input_ids, torch.tensor(padded)], dim=1)

    def _answer(self, prompt: str) -> list[int]:
        found = [answer for part, answer in self.answers.items() if part in prompt]
        assert len(found) == 1, prompt
        tokens: list[int] = self.tokenizer.encode(found[0], add_special_tokens=False)
        return tokens
