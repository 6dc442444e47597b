"""The stage of the clients: served mirrors of an open registry and of a closed one, and two before a Hub.

Not here: what is tried on it (situations).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.environments import Made
from tests.clients.samples import Files
from tests.clients.table import Client
from tests.services.clamd import signatures
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, mirrored
from weighbridge.domain.decision import Reason

PROGRAMS = Path(__file__).parent / "programs"
#: An address at which nothing answers.
NOWHERE = "http://127.0.0.1:9/huggingface"
#: Seconds that a client may take.
_PATIENCE_S = 300
_RUNNERS = {".sh": ("sh",), ".mjs": ("node",)}


@dataclass(frozen=True)
class Run:
    """What a client did.

    Attributes:
        loaded: the value that its program printed; empty where it loaded nothing.
        words: all that it printed, on one line.
    """

    loaded: str
    words: str

    def says(self, text: str) -> bool:
        """Return whether it printed a text."""
        return text in self.words


@dataclass
class Stage:
    """The served mirrors, and what is put into them.

    Attributes:
        open: anybody may read it.
        closed: only keys may.
        gated: takes models in from the Hub.
        through: hands them on from it, also to callers without a key, and weighs them afterwards.
        hub: the Hub.
        folder: for homes of the clients.
    """

    open: Mirrored
    closed: Mirrored
    gated: Mirrored
    through: Mirrored
    hub: Hub
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def home(self) -> Path:
        """Return a folder of its own for a client's cache."""
        home = self.folder / f"home-{next(self._numbers)}"
        home.mkdir()
        return home

    def run(self, client: Client, made: Made, name: str, home: Path, *, revision: str = "", **variables: str) -> Run:
        """Run a client's program; `variables` are further ones of its environment."""
        program = PROGRAMS / client.program
        runner = _RUNNERS.get(program.suffix, (made.program("python"),))
        target = home / f"target-{next(self._numbers)}"
        target.mkdir()
        kept = ("PATH", "HOME", "LANG", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "SSL_CERT_FILE")
        environment = {key: os.environ[key] for key in kept if key in os.environ}
        environment |= {"HF_HOME": str(home), "CLIENT_FOLDER": str(made.folder), "HF_ENDPOINT": self.open.url}
        environment |= {"PYTHONUTF8": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **client.variables, **variables}
        command = [*runner, str(program), name, revision, str(target)]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_PATIENCE_S, check=False, cwd=target
            )
        except subprocess.TimeoutExpired:
            return Run("", f"It did not end within {_PATIENCE_S} s.")
        loaded = re.search(r"^LOADED (\S+)$", done.stdout, re.MULTILINE)
        return Run(
            loaded[1] if loaded and not done.returncode else "", " ".join(f"{done.stderr} {done.stdout}".split())
        )

    def sent(self, mirror: Mirrored, name: str) -> int:
        """Return the bytes of a model's files that a mirror has sent so far."""
        lines = (line[line.index("{") :] for line in list(mirror.served.said) if '"sent"' in line and "{" in line)
        return sum(one["sent"] for one in map(json.loads, lines) if one["model"] == name)


def put(mirror: Mirrored, client: Client, name: str, files: Files, mark: int, reason: str = "") -> str:
    """Put a version into a mirror's catalog, with its mark as its number, and return the commit that clients know.

    Args:
        mirror: the mirror.
        client: what it is for.
        name: of the model.
        files: those of the version.
        mark: that of the version.
        reason: why it was refused; empty where it passed.
    """
    commit = hashlib.sha1(f"{name} {mark}".encode()).hexdigest()
    reasons = (Reason("reject", "clamav.signature", reason, next(iter(files))),) if reason else ()
    mirror.add(
        name,
        files,
        number=f"{mark}.0.0",
        uri=f"{'hf-dataset' if client.kind == 'datasets' else 'hf'}:{name}@{commit}",
        verdict="FAILED" if reason else "PASSED",
        reasons=reasons,
    )
    return commit


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Serve the four mirrors."""
    database = {"WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")), "WEIGHBRIDGE_POLICY": "minimal"}
    closed = {**database, "WEIGHBRIDGE_API_READING": "closed"}
    first, second, third, fourth = (folder / name for name in ("open", "closed", "gated", "through"))
    with Hub() as hub:
        by_mode = [
            ("--config", str(_configuration(folder, hub, mode)))
            for mode in ("mode: gated", "mode: read-through\n      ingest_by: anyone")
        ]
        with (
            serving(first, database, verbose=True) as open_,
            serving(second, closed) as closed_,
            serving(third, database, *by_mode[0]) as gated,
            serving(fourth, database, *by_mode[1], verbose=True) as through,
        ):
            mirrors = (open_, first), (closed_, second), (gated, third), (through, fourth)
            yield Stage(*(mirrored(*one) for one in mirrors), hub, folder)


def _configuration(folder: Path, hub: Hub, mode: str) -> Path:
    config = folder / f"mirror-{len(mode)}.yaml"
    config.write_text(f"backends:\n  - type: huggingface\n    config:\n      base_url: {hub.url}\n      {mode}\n")
    return config
