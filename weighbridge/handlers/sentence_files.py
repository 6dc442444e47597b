"""A model's own JSON files, read strictly: an unknown key is refused by name.

Not here: the content of the files (sentence, sentence_modules).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from weighbridge.domain.paths import safe_path
from weighbridge.errors import HandlerError, UnsafePath


def shown_name(place: Path) -> str:
    """Return the name of a module's folder in a form that is safe in a message."""
    return ascii(place.name)[1:-1][:100]


def refusal(file: str, what: str, why: str = "that is not supported here") -> HandlerError:
    """Return the error for a part of a file that is not supported."""
    return HandlerError(
        f"The model's {file} {what}: {why}.", "Its vectors would differ from its publisher's: choose another model."
    )


def refuse_unknown(file: str, said: dict[str, Any], known: set[str]) -> None:
    """Raise HandlerError for the first key that is not known."""
    unknown = sorted(key for key in said if key not in known)
    if unknown:
        raise refusal(file, f"has the key {ascii(unknown[0])[:60]}", "it is not supported here")


def below(folder: Path, name: str) -> Path:
    """Return a folder that a model names below its own. Raises HandlerError."""
    try:
        return folder / safe_path(name) if name else folder
    except UnsafePath as error:
        raise HandlerError("The model's modules.json names a path that leaves its folder.", "Do not use it.") from error


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a file, empty where there is no file. Raises HandlerError."""
    said = read_json(path) if path.exists() else {}
    if not isinstance(said, dict):
        raise refusal(path.name, "is not a JSON object")
    return said


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raises HandlerError."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise HandlerError(f"The model's {path.name} is not JSON: {str(error)[:200]}.", "Fetch it again.") from error
