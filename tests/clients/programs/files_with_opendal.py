"""Reads the file of a repository with OpenDAL, which asks the Hub's protocol in Rust: NAME REVISION FOLDER."""

import hashlib
import os
import sys

import opendal

name, revision, _ = sys.argv[1:]
options = {"repo_id": name, "repo_type": "model", "revision": revision or "main", "endpoint": os.environ["HF_ENDPOINT"]}
if token := os.environ.get("HF_TOKEN"):
    options["token"] = token
operator = opendal.Operator("huggingface", **options)
body = bytes(operator.read("model.bin"))
print("LOADED", hashlib.sha256(f"model.bin {hashlib.sha256(body).hexdigest()}\n".encode()).hexdigest())
