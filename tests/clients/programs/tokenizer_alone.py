"""Loads a tokenizer with tokenizers, and reads the model's weights with safetensors: NAME REVISION FOLDER."""

import sys

from huggingface_hub import hf_hub_download
from safetensors.numpy import load_file
from tokenizers import Tokenizer

name, revision, _ = sys.argv[1:]
assert Tokenizer.from_pretrained(name, revision=revision or "main").encode("a b").ids == [1, 2]
weights = load_file(hf_hub_download(name, "model.safetensors", revision=revision or "main"))
print("LOADED", int(weights["model.embed_tokens.weight"][0, 0]))
