"""A YAML file of the user's: read into a pydantic model, with errors that name file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from weighbridge.errors import InvalidConfiguration

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML 1.2 file into a pydantic model.

    Raises:
        InvalidConfiguration: the file cannot be read, is no YAML, or says something else than the model takes; the
            first problem is named with file, line and field.
    """
    try:
        text = path.read_text()
        content = _load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(
            f"{path} cannot be read: {error}.", "Check the path and that it is a text file."
        ) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidConfiguration(f"{path}:{line} is no YAML: {error.problem}.", "Mend that line.") from error
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        line = _line(YAML(typ="rt").load(text), first["loc"])  # Slow, but it knows where everything stands.
        count = error.error_count() - 1
        raise InvalidConfiguration(
            f"{path}:{line}: {field}: {first['msg']}" + (f" ({count} more)." if count else "."),
            "Mend that field; docs/formats.md lists what each may hold.",
            path=str(path),
            line=line,
            field=field,
        ) from error


def _load(text: str) -> Any:
    """Return a YAML file's content: by libyaml, ten times as fast, and by the full parser where that stumbles.

    libyaml speaks YAML 1.1 in places, such as a colon within a flow mapping's plain value.
    """
    try:
        return YAML(typ="safe").load(text)
    except MarkedYAMLError:
        return YAML(typ="rt").load(text)


def _line(content: Any, location: Sequence[int | str]) -> int:
    """Return the 1-based line of the deepest part of a location that exists in the file."""
    line = 1
    for part in location:
        if isinstance(content, CommentedMap) and part in content:
            line = content.lc.key(part)[0] + 1
            content = content[part]
        elif isinstance(content, CommentedSeq) and isinstance(part, int) and part < len(content):
            line = content.lc.item(part)[0] + 1
            content = content[part]
    return line
