"""Fetches an image into a containerd of its own, and prints the digest of the files in it: NAME REVISION FOLDER."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

name, revision, folder = sys.argv[1:]
host = os.environ["HF_ENDPOINT"].removeprefix("http://").removesuffix("/huggingface")
token, place = os.environ.get("HF_TOKEN"), Path(os.environ["HF_HOME"]) / "containerd"
keyed = ("--user", f"user:{token}") if token else ()
blobs = place / "root" / "io.containerd.content.v1.content" / "blobs" / "sha256"
place.mkdir(exist_ok=True)
(place / "config.toml").write_text(
    "version = 2\n"
    f'root = "{place}/root"\nstate = "{place}/state"\n'
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
    f'[grpc]\naddress = "{place}/socket"\n'
)
with open(place / "log", "ab") as log:
    daemon = subprocess.Popen(["containerd", "-c", place / "config.toml"], stdout=log, stderr=log)
try:
    while not (place / "socket").exists():
        time.sleep(0.1)
    image = f"{host}/{name}:{revision or 'latest'}"
    ctr = ["ctr", "-a", place / "socket", "content", "fetch", "--plain-http", *keyed, image]
    if subprocess.run(ctr, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(1)
    images = subprocess.check_output(["ctr", "-a", place / "socket", "images", "ls"], text=True)
    digest = next(line.split()[2] for line in images.splitlines() if line.startswith(image))
    layers = json.loads((blobs / digest.partition(":")[2]).read_bytes())["layers"]
    bodies = {
        one["annotations"]["org.opencontainers.image.title"]: (blobs / one["digest"].partition(":")[2]).read_bytes()
        for one in layers
    }
    lines = (f"{path} {hashlib.sha256(body).hexdigest()}\n" for path, body in sorted(bodies.items()))
    print("LOADED", hashlib.sha256("".join(lines).encode()).hexdigest())
finally:
    daemon.terminate()
    daemon.wait()
    (place / "socket").unlink(missing_ok=True)
