"""Loads a model with sentence-transformers and embeds a sentence: NAME REVISION FOLDER."""

import sys

from sentence_transformers import SentenceTransformer

name, revision, _ = sys.argv[1:]
model = SentenceTransformer(name, revision=revision or None, device="cpu")
print("LOADED", int(model.encode("a b")[0]))
