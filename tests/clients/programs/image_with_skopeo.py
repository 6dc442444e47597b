"""Copies an image with skopeo, and prints the digest of the files in it: NAME REVISION FOLDER."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

name, revision, folder = sys.argv[1:]
host = os.environ["HF_ENDPOINT"].removeprefix("http://").removesuffix("/huggingface")
token = os.environ.get("HF_TOKEN")
keyed = ("--src-creds", f"user:{token}") if token else ()
image = Path(folder) / "image"
source = f"docker://{host}/{name}:{revision or 'latest'}"
done = subprocess.run(
    ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", *keyed, source, f"dir:{image}"], check=False
)
if done.returncode:
    sys.exit(done.returncode)
layers = json.loads((image / "manifest.json").read_bytes())["layers"]
bodies = {
    one["annotations"]["org.opencontainers.image.title"]: (image / one["digest"].partition(":")[2]).read_bytes()
    for one in layers
}
lines = (f"{path} {hashlib.sha256(body).hexdigest()}\n" for path, body in sorted(bodies.items()))
print("LOADED", hashlib.sha256("".join(lines).encode()).hexdigest())
