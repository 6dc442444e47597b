"""Reads a table by its `hf://` address with pandas, and looks for it with HfFileSystem: NAME REVISION FOLDER."""

import sys

import pandas
from huggingface_hub import HfFileSystem

name, revision, _ = sys.argv[1:]
place = f"datasets/{name}@{revision}" if revision else f"datasets/{name}"
paths = HfFileSystem().glob(f"{place}/**/*.parquet")
assert len(paths) == 1, paths
print("LOADED", pandas.read_parquet(f"hf://{paths[0]}")["mark"][0])
