"""models.lock: for each model the pinned reference and every file with size and sha256. Written by `weighbridge lock`.

Format in docs/formats.md. Not here: comparing with what was received (intake.verifying).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from weighbridge.config.yaml_file import read_yaml
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration

FORMAT: Literal["weighbridge.lock/1"] = "weighbridge.lock/1"
_HEADER = "# Written by `weighbridge lock`. Commit it; do not edit it.\n"


class _LockedFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _LockedModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    uri: str
    pinned: str
    manifest: str
    files: list[_LockedFile]


class _Lock(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: Literal["weighbridge.lock/1"]
    models: dict[str, _LockedModel]


def read_lock(path: Path) -> dict[str, tuple[str, Manifest]]:
    """Read a lock: for each model's name the URI that was asked for and the manifest that it was.

    Raises:
        InvalidConfiguration: the file does not say what it must, or its files are not those of its manifest digest.
    """
    locked = {}
    for name, model in read_yaml(path, _Lock).models.items():
        files = tuple(FileEntry(file.path, file.size, Digest("sha256", file.sha256)) for file in model.files)
        manifest = Manifest(ModelRef.parse(model.pinned), files)
        if str(manifest.digest) != model.manifest:
            raise InvalidConfiguration(
                f"{path}: the files of {name!r} are {manifest.digest}, but the lock says {model.manifest}.",
                "Somebody edited it: run `weighbridge lock` again.",
            )
        locked[name] = (model.uri, manifest)
    return locked


def lock_path(models: Path) -> Path:
    """Return where the lock of a models file lies: `models.lock` beside `models.yaml`."""
    return models.with_suffix(".lock")


def read_lock_of(models: Path) -> dict[str, tuple[str, Manifest]]:
    """Read the lock of a models file.

    Raises:
        InvalidConfiguration: there is none, or it does not say what it must.
    """
    path = lock_path(models)
    if not path.exists():
        raise InvalidConfiguration(f"There is no {path}.", "Write it with `weighbridge lock`.")
    return read_lock(path)


def write_lock(path: Path, locked: Mapping[str, tuple[str, Manifest]]) -> None:
    """Write a lock whole or not at all, sorted, so that a difference in git shows what changed."""
    models = {}
    for name, (uri, manifest) in sorted(locked.items()):
        files = [
            {"path": entry.path, "size": entry.size, "sha256": entry.digest.hex}
            for entry in manifest.files
            if entry.digest
        ]
        models[name] = {
            "uri": uri,
            "pinned": manifest.ref.uri,
            "manifest": str(manifest.digest),
            "files": files,
        }
    text = _HEADER + yaml.safe_dump({"format": FORMAT, "models": models}, sort_keys=False, allow_unicode=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(text)
    os.replace(staged, path)
