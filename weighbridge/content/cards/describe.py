"""Describing: the card of a model from its files' headers, each field with the place where it was read.

Reads headers and small texts only; nothing is loaded, rendered or unpickled. What is broken or missing leaves a field
absent: saying so is the formats scanner's work. Not here: how a format is read (content.headers), which files are the
weights (cards.weights), what a configuration's numbers mean (cards.architecture).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from email import message_from_bytes
from pathlib import PurePosixPath
from typing import Any

from weighbridge.content.cards.architecture import config_fields, gguf_fields
from weighbridge.content.cards.completeness import missing_files
from weighbridge.content.cards.memory import memory_fields
from weighbridge.content.cards.weights import ModelFile, Weights, find_weights, quantization
from weighbridge.content.detection import detect_file
from weighbridge.content.findings import plain
from weighbridge.content.headers import document, licences, readme
from weighbridge.content.templates.inspection import MAX_TEMPLATE_LENGTH
from weighbridge.content.templates.places import templates_in
from weighbridge.domain.card import Field, ModelCard, Value
from weighbridge.domain.licence_names import all_of, is_licence_file
from weighbridge.domain.manifest import Manifest
from weighbridge.store.interface import BlobStore

#: Bytes of a configuration that is read for the card; only tokenizer.json are larger.
_CONFIG_SIZE = 8 * 1024 * 1024
#: Missing files that a card names.
_MAX_MISSING = 50
_METADATA_SIZE = 256 * 1024
_TOKENIZER_TYPE = re.compile(rb'"model"\s*:\s*\{\s*"type"\s*:\s*"(\w{1,40})"')
#: What torch calls the types, in the words of safetensors.
_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "float8_e4m3fn": "FP8"}
_DEFAULT_TEMPLATES = ("chat_template", "chat_template.default", "tokenizer.chat_template")


def describe(manifest: Manifest, blobs: BlobStore) -> ModelCard:
    """Return a model's card; never raises because of what its files hold.

    Args:
        manifest: computed: every file has its sha256.
        blobs: where the files are.

    Raises:
        BlobMissing: a file of the manifest is not in the store.
    """
    files = [
        ModelFile(entry.path, local, entry.size or 0, detect_file(entry.path, local))
        for entry in manifest.files
        if entry.digest
        for local in [blobs.path(entry.digest)]
    ]
    return _Describer(files).card()


class _Describer:
    """Collects fields; the first offer for a field is the one that counts."""

    def __init__(self, files: list[ModelFile]) -> None:
        self._files = files
        self._fields: dict[str, Field] = {}
        self._read: dict[str, Mapping[str, Any]] = {}
        self._config_file = self._nearest("config.json")
        self._config = self._json(self._config_file)
        self._weights = find_weights(files, self._config)

    def card(self) -> ModelCard:
        """Offer every field from its best source to its last."""
        self._from_sentence_transformers()
        card_file = self._nearest("README.md")
        front = readme.read(card_file.local) if card_file else readme.Readme()
        self._from_front_matter(front, card_file)
        self._from_config()
        if self._weights:
            self._from_weights(self._weights)
        self._from_tokenizer()
        self._from_licences(front, card_file)
        self._from_texts(front, card_file)
        formats = sorted({file.kind for file in self._files if file.kind != "empty"})
        self._offer("formats", list(formats), "names and first bytes of the files")
        missing = missing_files(self._files, self._weights)
        named = dict(list(missing.items())[:_MAX_MISSING])
        self._offer("missing_files", named, f"indexes and headers: {len(missing)} in all")
        return ModelCard(self._fields)

    def _offer(self, name: str, value: Value | None, read_from: str) -> None:
        if value not in (None, "", [], {}):
            self._fields.setdefault(name, Field(value, read_from))

    def _offer_all(self, offers: Iterable[tuple[str, Field]]) -> None:
        for name, field in offers:
            self._offer(name, field.value, field.read_from)

    def _nearest(self, name: str, kind: str = "") -> ModelFile | None:
        """Return the file of that name with the fewest folders in its path."""
        found = [
            file
            for file in self._files
            if PurePosixPath(file.path).name.lower() == name.lower() and kind in ("", file.kind)
        ]
        return min(found, key=lambda file: (file.path.count("/"), file.path), default=None)

    def _json(self, file: ModelFile | None) -> Mapping[str, Any]:
        if file is None or file.size > _CONFIG_SIZE:
            return {}
        value = document.read_json(file.local, _CONFIG_SIZE).value
        return value if isinstance(value, dict) else {}

    def _from_sentence_transformers(self) -> None:
        if not (modules := self._nearest("modules.json")):
            return
        value = document.read_json(modules.local, _CONFIG_SIZE).value
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            return
        if limits := self._nearest("sentence_bert_config.json"):
            length = self._json(limits).get("max_seq_length")
            if isinstance(length, int) and not isinstance(length, bool) and 0 < length < 2**40:
                self._offer("context_length", length, f"{limits.path}#max_seq_length")

    def _from_front_matter(self, front: readme.Readme, file: ModelFile | None) -> None:
        if not file:
            return
        fields = front.fields
        self._offer("task", _word(fields.get("pipeline_tag")), f"{file.path}#pipeline_tag")
        bases = readme.texts(fields.get("base_model"), 20)
        self._offer("base_model", ", ".join(bases), f"{file.path}#base_model")
        self._offer("languages", readme.texts(fields.get("language")), f"{file.path}#language")
        self._offer("tags", readme.texts(fields.get("tags")), f"{file.path}#tags")

    def _from_config(self) -> None:
        if self._config_file:
            self._offer_all(config_fields(self._config, self._config_file.path))
        if pipeline := self._nearest("model_index.json"):
            name = _word(self._json(pipeline).get("_class_name"))
            self._fields.pop("architecture", None) if name else None
            self._offer("architecture", name, f"{pipeline.path}#_class_name")
            self._offer("task", "text-to-image" if name else None, f"{pipeline.path}#_class_name")
        if adapter := self._nearest("adapter_config.json"):
            said = self._json(adapter)
            self._offer(
                "base_model", _word(said.get("base_model_name_or_path")), f"{adapter.path}#base_model_name_or_path"
            )
        if modules := self._nearest("modules.json"):
            self._offer("task", "sentence-similarity", modules.path)

    def _from_weights(self, weights: Weights) -> None:
        where = weights.read_from
        if weights.gguf:
            self._from_gguf(weights)
        self._offer("parameter_count", weights.count or None, f"{where}: tensor shapes")
        self._offer("parameter_count", self._counted_by_index(), "pytorch_model.bin.index.json#metadata")
        self._offer("dtypes", dict(sorted(weights.parameters.items())), f"{where}: tensor types")
        self._offer("quantization", quantization(weights, self._config), f"{where}: tensor types")
        if not weights.parameters:
            key = "dtype" if "dtype" in self._config else "torch_dtype"
            stated = _DTYPES.get(_word(self._config.get(key)))
            self._offer("quantization", stated, f"{self._config_file.path}#{key}" if self._config_file else "")
        self._offer("weights_size", weights.size, f"{where}: size on disk")
        self._offer_all(memory_fields(weights, self._config))

    def _counted_by_index(self) -> int | None:
        """Return the number of weights that the index of pickled shards states."""
        if not (index := self._nearest("pytorch_model.bin.index.json")):
            return None
        said = self._json(index).get("metadata")
        count = said.get("total_parameters") if isinstance(said, dict) else None
        return count if isinstance(count, int) and not isinstance(count, bool) and 0 < count < 2**60 else None

    def _from_gguf(self, weights: Weights) -> None:
        assert weights.gguf is not None
        path, said = weights.files[0], weights.metadata
        self._offer_all(gguf_fields(weights.gguf, path))
        self._offer("languages", readme.texts(said.get("general.languages")), f"{path}#general.languages")
        self._offer("tags", readme.texts(said.get("general.tags")), f"{path}#general.tags")
        for key in ("general.base_model.0.repo_url", "general.base_model.0.name"):
            self._offer("base_model", _word(said.get(key)), f"{path}#{key}")
        self._offer("tokenizer", _word(said.get("tokenizer.ggml.model")), f"{path}#tokenizer.ggml.model")

    def _from_tokenizer(self) -> None:
        if file := self._nearest("tokenizer.json"):
            self._offer("tokenizer", _tokenizer_type(file), f"{file.path}#model.type")
        settings_file = self._nearest("tokenizer_config.json")
        settings = self._json(settings_file)
        if settings_file:
            self._offer("tokenizer", _word(settings.get("tokenizer_class")), f"{settings_file.path}#tokenizer_class")
        if file := self._nearest("chat_template.jinja"):
            with open(file.local, "rb") as opened:
                content = opened.read(4 * MAX_TEMPLATE_LENGTH + 1)
            if len(content) <= 4 * MAX_TEMPLATE_LENGTH:
                self._offer("chat_template", hashlib.sha256(content).hexdigest(), file.path)
        chat_file = self._nearest("chat_template.json")
        for source, value in ((settings_file, settings), (chat_file, self._json(chat_file))):
            for template in templates_in(value):
                if source and template.key in _DEFAULT_TEMPLATES:
                    self._offer("chat_template", _sha256(template.text), f"{source.path}#{template.key}")
        if self._weights and isinstance(text := self._weights.metadata.get("tokenizer.chat_template"), str):
            self._offer("chat_template", _sha256(text), f"{self._weights.files[0]}#tokenizer.chat_template")

    def _from_licences(self, front: readme.Readme, card_file: ModelFile | None) -> None:
        """Add the fields from the model's own texts; where two places differ, both values are kept."""
        stated: dict[str, str] = {}
        if card_file and (name := licences.licence_in_front_matter(front.fields)):
            stated[f"{card_file.path}#license"] = name
        said = self._weights.metadata.get("general.license") if self._weights else None
        if self._weights and isinstance(said, str) and (name := licences.stated_licence(said)):
            stated[f"{self._weights.files[0]}#general.license"] = name
        if (file := self._nearest("METADATA")) and (name := licences.licence_in_metadata(file.local)):
            stated[f"{file.path}#License"] = name
        for file in self._files:
            if is_licence_file(file.path) and (name := licences.licence_in_text(file.local)):
                stated[file.path] = name
        self._offer("licence", all_of(list(stated.values())), ", ".join(stated))

    def _from_texts(self, front: readme.Readme, card_file: ModelFile | None) -> None:
        if card_file:
            self._offer("description", front.description, card_file.path)
        if self._weights:
            said = self._weights.metadata.get("general.description")
            self._offer("description", _word(said, 300), f"{self._weights.files[0]}#general.description")
        if file := self._nearest("METADATA"):
            with open(file.local, "rb") as opened:
                summary = message_from_bytes(opened.read(_METADATA_SIZE)).get("Summary", "")
            self._offer("description", plain(str(summary), 300), f"{file.path}#Summary")
        if self._weights:
            said = self._weights.metadata.get("general.name")
            self._offer("description", _word(said, 300), f"{self._weights.files[0]}#general.name")


def _word(value: object, limit: int = 200) -> str:
    return plain(value, limit) if isinstance(value, str) else ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _tokenizer_type(file: ModelFile) -> str:
    """Return the kind of model in a tokenizer.json without parsing its vocabulary.

    Inside a JSON text a quotation mark is escaped, so the searched words can only occur as a key.
    """
    overlap, before = 256, b""
    with open(file.local, "rb") as opened:
        while chunk := opened.read(1024 * 1024):
            if match := _TOKENIZER_TYPE.search(before + chunk):
                return match.group(1).decode()
            before = chunk[-overlap:]
    return ""
