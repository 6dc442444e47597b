"""Asks for a GGUF as llama.cpp's `-hf` does (its common/hf-cache.cpp and download.cpp): NAME REVISION FOLDER.

1. `refs`, of which `main` counts; 2. its tree, of which the first page alone is read; 3. the file of Q4_K_M, else of
Q8_0, else any; 4. where its cache does not have that: HEAD, and GET, going on with a part. After any error of the first
two it prints the message and takes what it has.
"""

import hashlib
import json
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

name = sys.argv[1]
endpoint = f"{os.environ['HF_ENDPOINT']}/"
cache = Path(os.environ["HF_HOME"]) / "llama.cpp" / name.replace("/", "--")
cache.mkdir(parents=True, exist_ok=True)
token = os.environ.get("HF_TOKEN", "")
HEADERS = {"User-Agent": "llama-cpp/b11434", "Accept": "application/json"}
if re.fullmatch("hf_[A-Za-z0-9]{34,253}", token):
    HEADERS["Authorization"] = f"Bearer {token}"


def ask(path: str, method: str = "GET", **more: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(endpoint + path, method=method, headers={**HEADERS, **more})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, {key.lower(): value for key, value in response.headers.items()}, response.read()


def listed() -> list[tuple[str, str, str]]:
    """Return path, id and address of each file of `main`."""
    branches = json.loads(ask(f"api/models/{name}/refs")[2])["branches"]
    commit = next(one["targetCommit"] for one in branches if one["name"] == "main")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    tree = json.loads(ask(f"api/models/{name}/tree/{commit}?recursive=true")[2])
    files = [one for one in tree if one["type"] == "file"]
    return [(one["path"], one.get("lfs", one)["oid"], f"{name}/resolve/{commit}/{one['path']}") for one in files]


def chosen(paths: list[str]) -> str:
    models = [path for path in paths if path.endswith(".gguf")]
    for words in ("Q4_K_M[.-]", "Q8_0[.-]", ""):
        for path in models:
            if re.search(words, path, re.IGNORECASE):
                return path
    sys.exit("no GGUF files found")


def fetch(address: str, target: Path) -> None:
    """Fetch a file, whose second half comes by a range."""
    status, headers, _ = ask(address, "HEAD")
    size = int(headers["content-length"])
    assert status == 200
    assert headers["etag"]
    assert headers["accept-ranges"] != "none"
    target.write_bytes(ask(address)[2][: size // 2])
    status, _, rest = ask(address, Range=f"bytes={size // 2}-")
    assert status == 206
    target.write_bytes(target.read_bytes() + rest)


known = cache / "known.json"
try:
    files = listed()
except urllib.error.HTTPError as error:
    print(f"GET failed ({error.code}): {json.loads(error.read())['error']}", file=sys.stderr)
    files = []
except urllib.error.URLError as error:
    print(f"HTTPLIB failed: {error}", file=sys.stderr)
    files = []
if files:
    wanted = chosen([path for path, _, _ in files])
    oid, address = next((oid, address) for path, oid, address in files if path == wanted)
    if not (cache / oid).exists():
        fetch(address, cache / oid)
    known.write_text(json.dumps(oid))
elif not known.exists():
    sys.exit("failed to load the model")
body = (cache / json.loads(known.read_text())).read_bytes()
assert body.startswith(b"GGUF")
print("LOADED", hashlib.sha256(body).hexdigest())
