"""Loads every file of a repository with huggingface_hub, and prints their digest: NAME REVISION FOLDER."""

import hashlib
import sys
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download

name, revision, _ = sys.argv[1:]
folder = Path(snapshot_download(name, revision=revision or None))
hf_hub_download(name, "config.json", revision=revision or None)
bodies = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
lines = (f"{path} {hashlib.sha256(body).hexdigest()}\n" for path, body in sorted(bodies.items()))
print("LOADED", hashlib.sha256("".join(lines).encode()).hexdigest())
