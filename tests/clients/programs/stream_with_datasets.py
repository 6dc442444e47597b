"""Reads a data set as a stream with datasets: NAME REVISION FOLDER."""

import sys

from datasets import load_dataset

name, revision, _ = sys.argv[1:]
rows = list(load_dataset(name, revision=revision or None, split="train", streaming=True))
assert [row["text"] for row in rows] == ["a"]
print("LOADED", rows[0]["mark"])
