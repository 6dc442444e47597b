"""Loads a model and its tokenizer with transformers: NAME REVISION FOLDER."""

import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

name, revision, _ = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main")
assert tokenizer("a b")["input_ids"] == [1, 2]
model = AutoModelForCausalLM.from_pretrained(name, revision=revision or "main")
print("LOADED", int(model.model.embed_tokens.weight[0, 0].item()))
