"""The lines of Python that load a published version; they depend on the kind of model and the place of its files."""

from __future__ import annotations

from weighbridge.domain.version import ModelVersion

#: The class of transformers for each task of the Hub; any other task loads with AutoModel.
_CLASSES = {
    "automatic-speech-recognition": "AutoModelForSpeechSeq2Seq",
    "fill-mask": "AutoModelForMaskedLM",
    "image-classification": "AutoModelForImageClassification",
    "summarization": "AutoModelForSeq2SeqLM",
    "text-classification": "AutoModelForSequenceClassification",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "token-classification": "AutoModelForTokenClassification",
    "translation": "AutoModelForSeq2SeqLM",
}


def load_line(version: ModelVersion, path: str = "path") -> str:
    """Return the line that loads the files at the Python expression `path`; it lists them where no library is known.

    Names from upstream are in it only as Python literals.
    """
    paths = version.manifest.by_path
    gguf = sorted(name for name in paths if name.endswith(".gguf"))
    if "modules.json" in paths and "config_sentence_transformers.json" in paths:
        return f"from sentence_transformers import SentenceTransformer; model = SentenceTransformer({path})"
    if "config.json" in paths and any(name.endswith((".safetensors", ".bin")) for name in paths):
        kind = _CLASSES.get(str(version.card.get("task")), "AutoModel")
        return f"from transformers import {kind}; model = {kind}.from_pretrained({path})"
    if gguf:
        kind = "AutoModelForCausalLM"
        return f"from transformers import {kind}; model = {kind}.from_pretrained({path}, gguf_file={gguf[0]!r})"
    return f"import os; print(os.listdir({path}))"
