"""Environments of the clients, one below `.venv/clients` for each set of versions, and how they are made."""

from __future__ import annotations

import hashlib
import shutil
import site
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2] / ".venv" / "clients"


@dataclass(frozen=True)
class Environment:
    """What is installed together.

    Attributes:
        packages: with their versions, as the kind's installer takes them; of Debian, pairs of program and package.
        shares: whether programs also see what the tests' own environment has: torch is too large for one each.
        kind: who installs it.
    """

    packages: tuple[str, ...]
    shares: bool = False
    kind: Literal["python", "node", "debian"] = "python"


ENVIRONMENTS: Mapping[str, Environment] = {
    "hub-2": Environment(("huggingface_hub==2.4.0", "hf_xet==1.8.0", "pandas==3.1.1", "pyarrow==25.0.1")),
    "hub-1": Environment(("huggingface_hub==1.33.0", "hf_xet==1.8.0")),
    "hub-0.36": Environment(("huggingface_hub==0.36.2", "hf_xet==1.8.0", "hf_transfer==0.1.9", "setuptools<81")),
    "hub-0.25": Environment(("huggingface_hub==0.25.2", "hf_transfer==0.1.9")),
    "transformers-5": Environment(("transformers==5.24.0", "huggingface_hub==2.4.0"), shares=True),
    "transformers-4": Environment(
        ("transformers==4.57.6", "huggingface_hub==0.36.2", "tokenizers==0.22.2"), shares=True
    ),
    "datasets-5": Environment(("datasets==5.2.0", "huggingface_hub==2.4.0"), shares=True),
    "datasets-3": Environment(("datasets==3.6.0", "huggingface_hub==0.36.2", "fsspec==2025.3.0"), shares=True),
    "sentence-transformers": Environment(("sentence-transformers==6.2.0", "huggingface_hub==2.4.0"), shares=True),
    "diffusers": Environment(("diffusers==0.42.1", "huggingface_hub==2.4.0"), shares=True),
    "opendal": Environment(("opendal==0.47.12",)),
    "hub-suite": Environment(("pytest-mock==3.15.1",), shares=True),
    "npm": Environment(("@huggingface/hub@2.17.5", "@huggingface/transformers@4.3.2"), kind="node"),
    "debian": Environment(("curl:curl", "wget:wget", "aria2c:aria2", "axel:axel"), kind="debian"),
    "containers": Environment(("skopeo:skopeo", "ctr:containerd"), kind="debian"),
}


@dataclass(frozen=True)
class Made:
    """An environment that was made.

    Attributes:
        folder: where it is.
        failure: why it could not be made; empty where it was.
    """

    folder: Path
    failure: str = ""

    def program(self, name: str) -> str:
        """Return the path of a program of it; the name alone for one that the system has."""
        found = self.folder / "bin" / name
        return str(found) if found.exists() else name


def make(name: str) -> Made:
    """Make an environment, unless it is there already with the same packages."""
    environment, folder = ENVIRONMENTS[name], ROOT / name
    mark = folder / ".installed"
    wanted = hashlib.sha256(repr(environment).encode()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return Made(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in _commands(environment, folder):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return Made(folder, (done.stderr or done.stdout).strip().splitlines()[-1][:200])
        if environment.shares:
            _share(folder)
    mark.write_text(wanted)
    return Made(folder)


def _commands(environment: Environment, folder: Path) -> list[list[str]]:
    if environment.kind == "debian":
        return [["sh", "deployments/install.sh", "--missing", *environment.packages]]
    if environment.kind == "node":
        return [["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(folder), *environment.packages]]
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, *environment.packages]]


def _share(folder: Path) -> None:
    """Let programs of an environment see the packages of this one, behind its own."""
    for packages in (folder / "lib").glob("python*/site-packages"):
        (packages / "shared.pth").write_text("\n".join(site.getsitepackages()) + "\n")
