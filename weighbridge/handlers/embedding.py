"""Text embeddings through transformers, with the prompt, pooling and layers of the model's publisher."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import normalizers
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
)

from weighbridge.errors import HandlerError, InvalidConfiguration, InvalidRequest
from weighbridge.handlers.conversion import converted, merged
from weighbridge.handlers.inference import finite, inferring, max_tokens, refuse_cancelled, watched
from weighbridge.handlers.interface import Device
from weighbridge.handlers.local_model import LocalModel
from weighbridge.handlers.matryoshka import read_matryoshka
from weighbridge.handlers.pretrained import Place, load_model, load_processor, loading, locate, model_folder
from weighbridge.handlers.request import checked_text
from weighbridge.handlers.sentence import Sentence, read_sentence
from weighbridge.handlers.sentence_layers import MASK, MODES, SENTENCE, TEXT_MASK, TOKENS, Normalize, text_mask
from weighbridge.handlers.vectors import wanted_vectors

#: The poolings that models.yaml may name, each with its mode.
POOLINGS = {"last" if mode == "lasttoken" else mode: mode for mode in MODES}
#: The most texts, and tokens with padding, of one batch: memory grows with the square of a text's length.
_BATCH, _BATCH_TOKENS = 32, 16_384
#: The cosine below which two vectors count as different, for float32 states and for shorter types.
_SAME, _SAME_SHORT = 0.9999, 0.999
_PROBE = ("a text", "a longer text, beside which the other one is padded")


class TextEmbedding(LocalModel):
    """An embedding model; calls are made one after another, under a lock.

    A text passes through the steps of the model's files (`modules.json`, `config_sentence_transformers.json`): prompt,
    transformer, poolings, dense layers, normalizations, in their order. `pooling` replaces the model's own poolings; a
    model without any is pooled by the mean. A vector never depends on the other texts of a call.

    Args:
        hf_repo_id: a repository in the cache, or a folder.
        device: the device it runs on.
        cache_dir: the Hugging Face cache; huggingface_hub's default when None.
        kwargs: `name`, `pooling` (of `POOLINGS`), `normalize`, `matryoshka`, `dtype`, `gguf_file`, and the other
            options of `locate`.

    Raises:
        InvalidConfiguration: there is no such pooling.
        HandlerError: it cannot be loaded, uses a step that is not supported, or generates text and has no pooling.
        OutOfMemory: the device is too small.
    """

    capabilities = ["text-embedding"]
    options = ["pooling", "normalize", "matryoshka", "dtype", "gguf_file"]
    joins = True

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, kwargs)
        wanted = kwargs.get("pooling") or ""
        if wanted and wanted not in POOLINGS:
            raise InvalidConfiguration(f"There is no pooling “{wanted}”.", f"Write one of {', '.join(POOLINGS)}.")
        folder = model_folder(hf_repo_id, cache_dir)
        sentence = read_sentence(folder, POOLINGS.get(wanted, ""))
        place = locate(str(folder / sentence.transformer), cache_dir, {**kwargs, "name": self.name})
        auto = _auto(place)
        place = converted(place, auto)
        with merged(place) as whole:
            self.tokenizer = load_processor(AutoTokenizer, whole, **sentence.tokenizer)
            self.model = load_model(auto, whole, device, spare=("pooler.",))
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if not wanted and not sentence.stated and _writes(self.model):
            raise HandlerError(
                f"{self.name} is made for generating text, and its files describe no embedding.",
                "Name the handler TextChat; or, if it is for embedding, `pooling:` in models.yaml.",
            )
        self.prompt, self.pooling = sentence.prompt, sentence.pooling.replace("lasttoken", "last")
        self.max_tokens = max_tokens(self.tokenizer, self.model, sentence.max_tokens)
        self._words = threading.Lock()
        self._layers = torch.nn.Sequential(*sentence.layers).to(device).eval()
        self._normalizes = kwargs.get("normalize")
        if self._normalizes is False:
            kept = [layer for layer in self._layers if not isinstance(layer, Normalize) or layer.writes != SENTENCE]
            self._layers = torch.nn.Sequential(*kept)
        self._prepare(sentence, kwargs.get("matryoshka"))

    def embed(self, texts: list[str], cancel_event: threading.Event | None = None, **options: Any) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim); texts longer than `max_tokens` are cut, see `count_cut`.

        Args:
            texts: the texts to embed.
            cancel_event: ends it.
            options: those of `WantedVectors`. Vectors with fewer `dimensions` are cut, and scaled to length 1 where
                whole ones have it.

        Raises:
            InvalidRequest: it is not a list of texts, or the model has no vectors of so many dimensions.
            HandlerError: the model fails or computes NaN.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set.
        """
        dimensions = wanted_vectors(self.name, options).dimensions
        if dimensions == self.dim:
            dimensions = None
        self._matryoshka.check(self.name, dimensions)
        tokens = self._tokens(texts, cut=True)
        vectors = np.zeros((len(texts), dimensions or self.dim), np.float32)
        with (
            self.turns.take(self.name, cancel_event),
            watched(self.model, self.name, cancel_event),
            inferring(self.name, str(self.device), "embeddings"),
        ):
            for batch in self._batches(tokens):
                refuse_cancelled(self.name, cancel_event)
                vectors[batch] = self._vectors([tokens[index] for index in batch], dimensions)
        return vectors

    def count_tokens(self, texts: list[str]) -> int:
        """Return the number of tokens of all texts together, before cutting. Raises InvalidRequest."""
        return sum(len(entry["input_ids"]) for entry in self._tokens(texts, cut=False))

    def count_cut(self, texts: list[str]) -> int:
        """Return how many of the texts are longer than `max_tokens` and so cut. Raises InvalidRequest."""
        return sum(len(entry["input_ids"]) > self.max_tokens for entry in self._tokens(texts, cut=False))

    def _prepare(self, sentence: Sentence, matryoshka: bool | None) -> None:
        """Finish the loading steps that need the whole model: lower case, the prompt's length, dimensions, padding."""
        if sentence.lower_case:
            inner = getattr(self.tokenizer, "backend_tokenizer", None)
            if inner is None:
                raise HandlerError(f"{self.name} needs texts in lower case, and its tokenizer cannot do that.")
            own = [inner.normalizer] if inner.normalizer is not None else []
            inner.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
        self._prompt_length = 0
        if self.prompt:
            alone = self._tokens([""], cut=True)[0]["input_ids"]
            ends = bool(alone) and alone[-1] in self.tokenizer.all_special_ids
            self._prompt_length = len(alone) - ends
        takes = inspect.signature(self.model.forward).parameters
        free = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values())
        self._inputs = None if free else set(takes)
        self._width = int(self.model.config.get_text_config().hidden_size)
        with torch.inference_mode(), inferring(self.name, str(self.device), "embeddings"):
            length = self._pooled([{"input_ids": [], "attention_mask": []}]).shape[1]
            self.dim = min(sentence.size or length, length)
            short, long = self._tokens(list(_PROBE), cut=True)
            alone, beside = self._vectors([short])[0], self._vectors([short, long])[0]
        same = _SAME if self.model.dtype == torch.float32 else _SAME_SHORT
        # Some models read padding despite the mask (FNet): they get texts of equal length in a batch.
        self._pads = bool(alone @ beside >= same * np.linalg.norm(alone) * np.linalg.norm(beside))
        truncates = self.dim < length
        self._matryoshka = read_matryoshka(self.model.config, length, truncates=truncates, option=matryoshka)

    def _tokens(self, texts: Sequence[str], *, cut: bool) -> list[dict[str, list[int]]]:
        if isinstance(texts, str):
            raise InvalidRequest(f"{self.name} embeds a list of texts, and got one text.", "Put it into a list.")
        whole = [self.prompt + checked_text(text) for text in texts]
        if not whole:
            return []
        with self._words:  # The cut is a state of the tokenizer.
            found = self.tokenizer(whole, truncation=cut, max_length=self.max_tokens if cut else None)
        return [{key: values[index] for key, values in found.items()} for index in range(len(texts))]

    def _batches(self, tokens: Sequence[dict[str, list[int]]]) -> Iterator[list[int]]:
        """Yield the indexes of texts for one batch: of similar length, or of equal length where padding matters."""
        lengths = [len(entry["input_ids"]) for entry in tokens]
        batch: list[int] = []
        for index in sorted(range(len(tokens)), key=lambda index: -lengths[index]):
            longest = lengths[batch[0]] if batch else 0
            full = len(batch) == _BATCH or (len(batch) + 1) * longest > _BATCH_TOKENS
            if batch and (full or (not self._pads and lengths[index] != longest)):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _vectors(self, tokens: Sequence[dict[str, list[int]]], dimensions: int | None = None) -> np.ndarray:
        """Return the vectors of one batch, of the model's own length or a shorter one."""
        pooled = self._pooled(tokens)[:, : dimensions or self.dim]
        if self._normalizes or (dimensions is not None and self._is_unit):
            pooled = torch.nn.functional.normalize(pooled, dim=-1)
        found: np.ndarray = pooled.cpu().numpy()
        return found

    @property
    def _is_unit(self) -> bool:
        """Return whether whole vectors have length 1 by what the model says."""
        last = self._layers[-1]
        return isinstance(last, Normalize) and last.writes == SENTENCE

    def _pooled(self, tokens: Sequence[dict[str, list[int]]]) -> torch.Tensor:
        """Return the uncut results of all layers for one batch.

        Padding is always on the right, on whichever side the tokenizer puts it: positions counted from the left are
        then those of the text. Pooling uses the mask.
        """
        if not any(entry["input_ids"] for entry in tokens):
            states = torch.zeros(len(tokens), 1, self._width, device=self.device)
            mask = torch.zeros(len(tokens), 1, device=self.device, dtype=torch.long)
        else:
            self.tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
            inputs = self.tokenizer.pad(list(tokens), padding=True, padding_side="right", return_tensors="pt")
            inputs, mask = inputs.to(self.device), inputs["attention_mask"].to(self.device)
            known = {key: value for key, value in inputs.items() if self._inputs is None or key in self._inputs}
            states = finite(self.name, self.model(**known).last_hidden_state.float())
        values = {TOKENS: states, MASK: mask, TEXT_MASK: text_mask(mask, self._prompt_length)}
        return finite(self.name, self._layers(values)[SENTENCE])


def _auto(place: Place) -> Any:
    """Return the class that loads a model: only the encoder of an encoder-decoder model, where there is one."""
    if place.gguf:
        return AutoModel
    with loading(place, "the configuration"):
        config = AutoConfig.from_pretrained(place.folder, local_files_only=True, trust_remote_code=place.trusted)
    reading = MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(config), None)
    return AutoModelForTextEncoding if reading and reading.__name__.endswith("EncoderModel") else AutoModel  # T5


def _writes(model: Any) -> bool:
    """Return whether a model of this kind only continues texts, so that a token sees those before it, never after."""
    kind = type(model.config)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING
