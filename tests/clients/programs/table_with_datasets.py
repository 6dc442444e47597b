"""Loads a data set with datasets, then reads it as a stream: NAME REVISION FOLDER."""

import sys

from datasets import load_dataset

name, revision, _ = sys.argv[1:]
table = load_dataset(name, revision=revision or None, split="train")
assert table["text"] == ["a"] or list(table["text"]) == ["a"]
print("LOADED", table[0]["mark"])
