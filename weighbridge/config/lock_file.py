"""models.lock: for each model the pinned reference and every file with size and sha256. Written by `weighbridge lock`.

Format in docs/formats.md. Not here: comparing with what was received (intake.verifying).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from weighbridge.config.relative_paths import anchored, relative
from weighbridge.config.yaml_file import YamlFile, read_yaml
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration
from weighbridge.system import whole_files

FORMAT: Literal["weighbridge.lock/1"] = "weighbridge.lock/1"
#: A line that git leaves where two branches changed a file.
_MARK = re.compile(r"(?:<{7}|\|{7}|={7}|>{7})(?= |\r?$)")
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
    """Read a lock: for each model's name the requested URI and the locked manifest.

    Raises:
        InvalidConfiguration: the file is not valid, holds marks of a merge conflict, or its files do not match its
            manifest digests.
    """
    if path.exists() and (line := conflict_line(path.read_text(errors="replace"))):
        raise InvalidConfiguration(
            f"{path}:{line} holds the marks of a merge conflict.",
            "`weighbridge lock --only NAME,NAME` with the models that both branches changed mends it; or take one "
            "branch's file: git checkout --ours or --theirs.",
            path=str(path),
            line=line,
        )
    return _locked(read_yaml(path, _Lock).models, path)


def read_mended(path: Path, wanted: Collection[str]) -> dict[str, tuple[str, Manifest]]:
    """Read a lock whose entries for the `wanted` models will be replaced, so that these may be in conflict.

    Of a lock with marks of a merge conflict, entries are kept that are equal in both branches, or are in one only.

    Raises:
        InvalidConfiguration: as `read_lock`, and where the branches disagree about a model that is not wanted.
    """
    text = path.read_text(errors="replace")
    if not conflict_line(text):
        return read_lock(path)
    ours, theirs = (_side(path, text, wanted, side) for side in ("<", ">"))
    disputed = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    if disputed:
        raise InvalidConfiguration(
            f"In {path} the branches disagree about {', '.join(disputed)} too.",
            f"Lock them as well: weighbridge lock --only {','.join([*wanted, *disputed])}.",
            path=str(path),
        )
    return _locked({**theirs, **ours}, path)


def _side(path: Path, text: str, wanted: Collection[str], side: str) -> dict[str, _LockedModel]:
    """Return the entries of one branch, without those that will be replaced."""
    lines, where = [], ""
    for line in text.splitlines(keepends=True):
        if mark := _MARK.match(line):
            where = {"<": "<", "|": "|", "=": ">", ">": ""}[mark[0][0]]
        elif where in ("", side):
            lines.append(line)
    file = YamlFile.parse(path, "".join(lines))
    if isinstance(file.content, dict) and isinstance(models := file.content.get("models"), dict):
        file.content["models"] = {name: model for name, model in models.items() if name not in wanted}
    return file.validate(_Lock, file.content).models


def conflict_line(text: str) -> int:
    """Return the number of the first line with a mark of git's merge conflicts, or 0."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if _MARK.match(line)), 0)


def _locked(models: Mapping[str, _LockedModel], path: Path) -> dict[str, tuple[str, Manifest]]:
    locked = {}
    for name, model in models.items():
        files = tuple(FileEntry(file.path, file.size, Digest("sha256", file.sha256)) for file in model.files)
        asked, pinned = (anchored(ModelRef.parse(uri), path.parent) for uri in (model.uri, model.pinned))
        manifest = Manifest(pinned, files)
        if str(manifest.digest) != model.manifest:
            raise InvalidConfiguration(
                f"{path}: the files of {name!r} are {manifest.digest}, but the lock says {model.manifest}.",
                "The lock was edited by hand: run `weighbridge lock` again.",
            )
        locked[name] = (asked.uri, manifest)
    return locked


def lock_path(models: Path) -> Path:
    """Return the path of a models file's lock: `models.lock` beside `models.yaml`."""
    return models.with_suffix(".lock")


def read_lock_of(models: Path) -> dict[str, tuple[str, Manifest]]:
    """Read the lock of a models file.

    Raises:
        InvalidConfiguration: it is missing or not valid.
    """
    path = lock_path(models)
    if not path.exists():
        raise InvalidConfiguration(f"There is no {path}.", "Write it with `weighbridge lock`.")
    return read_lock(path)


def write_lock(path: Path, locked: Mapping[str, tuple[str, Manifest]], relative_ones: Collection[str] = ()) -> None:
    """Write a lock atomically and sorted, so that a difference in git shows what changed.

    Args:
        path: the file.
        locked: for each model's name the requested URI and its manifest.
        relative_ones: names of models whose paths are written relative to the file, as in models.yaml.
    """
    models = {}
    for name, (uri, manifest) in sorted(locked.items()):
        pinned = manifest.ref
        if name in relative_ones:
            uri, pinned = relative(ModelRef.parse(uri), path.parent).uri, relative(pinned, path.parent)
        files = [
            {"path": entry.path, "size": entry.size, "sha256": entry.digest.hex}
            for entry in manifest.files
            if entry.digest
        ]
        models[name] = {
            "uri": uri,
            "pinned": pinned.uri,
            "manifest": str(manifest.digest),
            "files": files,
        }
    text = _HEADER + yaml.safe_dump({"format": FORMAT, "models": models}, sort_keys=False, allow_unicode=True)
    whole_files.write(path, text, durable=True)
