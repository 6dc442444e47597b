"""Loads every file of a repository with `hf download` or `huggingface-cli download`: NAME REVISION FOLDER."""

import hashlib
import subprocess
import sys
from pathlib import Path

name, revision, _ = sys.argv[1:]
command = next(path for word in ("hf", "huggingface-cli") if (path := Path(sys.executable).with_name(word)).exists())
chosen = ("--revision", revision) if revision else ()
done = subprocess.run([command, "download", name, *chosen], stdout=subprocess.PIPE, text=True, check=False)
if done.returncode:
    sys.exit(done.stdout)
folder = next(
    path for line in done.stdout.splitlines() if (path := Path(line.split()[-1].removeprefix("path="))).is_dir()
)
bodies = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
lines = (f"{path} {hashlib.sha256(body).hexdigest()}\n" for path, body in sorted(bodies.items()))
print("LOADED", hashlib.sha256("".join(lines).encode()).hexdigest())
