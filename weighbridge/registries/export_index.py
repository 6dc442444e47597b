"""The index of an exported model: a small JSON file beside its versions, for people and for withdrawing.

It has the model's own name, which a folder's name may not be able to hold, and for each version the manifest, or the
reason of its withdrawal. The versions themselves have the model's files and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from weighbridge.errors import RegistryError
from weighbridge.system import whole_files

FILE_NAME = "weighbridge.json"
FORMAT = "weighbridge.export/1"


def read_index(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the index entry of each version of the model in a folder.

    Raises:
        RegistryError: the folder belongs to another model, or its index cannot be read.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        owner, versions = content["name"], dict(content["versions"])
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"The index {path} cannot be read.", "Remove it; it is written again.") from error
    if owner != name:
        raise RegistryError(
            f"The folder {folder} belongs to the model {owner!r}, not to {name!r}.",
            "Give one of them another name with --name.",
            path=str(folder),
        )
    return versions


def index_owner(path: Path) -> str:
    """Return the name of the model of an index file.

    Raises:
        RegistryError: the index cannot be read.
    """
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"The index {path} cannot be read.", "Remove it; it is written again.") from error


def write_index(folder: Path, name: str, versions: dict[str, dict[str, Any]]) -> None:
    """Write the index of a model's folder, in one step."""
    content = {"format": FORMAT, "name": name, "versions": dict(sorted(versions.items()))}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    whole_files.write(folder / FILE_NAME, text, mode=0o644, durable=True)
