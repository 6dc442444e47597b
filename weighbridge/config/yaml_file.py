"""A YAML file of the user: read into a pydantic model, with errors that name file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from weighbridge.errors import InvalidConfiguration

Model = TypeVar("Model", bound=BaseModel)
#: Keys and indices that lead to a value, from the top of a file.
Location = Sequence[int | str]


@dataclass(frozen=True)
class YamlFile:
    """A file that was read.

    Attributes:
        path: its path.
        content: its content as plain values; an empty mapping for an empty file.
        text: its text.
    """

    path: Path
    content: Any = field(repr=False)
    text: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> YamlFile:
        """Read a YAML 1.2 file.

        Raises:
            InvalidConfiguration: it cannot be read, or is not valid YAML.
        """
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfiguration(
                f"{path} cannot be read: {error}.", "Check the path and that it is a text file."
            ) from error
        return cls.parse(path, text)

    @classmethod
    def parse(cls, path: Path, text: str) -> YamlFile:
        """Parse the text of a file. Raises InvalidConfiguration when it is not valid YAML."""
        try:
            content = _load(text)
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise InvalidConfiguration(
                f"{path}:{line} is not valid YAML: {error.problem}.", "Fix that line."
            ) from error
        except RecursionError as error:
            raise InvalidConfiguration(f"{path} is nested too deeply.", "Write it with fewer levels.") from error
        except (YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:  # values that cannot be
            raise InvalidConfiguration(f"{path} is not valid YAML: {error!s:.200}.", "Fix the file.") from error
        return cls(path, {} if content is None else content, text)

    def validate(self, model: type[Model], content: Any, location: Location = ()) -> Model:
        """Return the value at a location as a pydantic model.

        Raises:
            InvalidConfiguration: the value does not fit the model; the message has the first problem.
        """
        try:
            return model.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise self.problem((*location, *first["loc"]), told(first), error.error_count() - 1) from error

    def problem(self, location: Location, message: str, more: int = 0) -> InvalidConfiguration:
        """Return the error for the value at a location.

        Args:
            location: the location of the value, or where one is missing.
            message: what is wrong with it.
            more: problems besides this one.
        """
        place = ".".join(str(part) for part in location if part != "[key]") or "the whole file"
        line = _line(YAML(typ="rt").load(self.text), location)  # This parser is slow, but it has line numbers.
        others = f" ({more} more)" if more else ""
        return InvalidConfiguration(
            f"{self.path}:{line}: {place}: {message.rstrip('.')}{others}.",
            "Mend that field; docs/formats.md lists what each may hold.",
            path=str(self.path),
            line=line,
            field=place,
        )


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML 1.2 file into a pydantic model.

    Raises:
        InvalidConfiguration: the file cannot be read, is not valid YAML, or does not fit the model; the message has
            the first problem with file, line and field.
    """
    file = YamlFile.read(path)
    return file.validate(model, file.content)


def told(error: Any) -> str:
    """Return the message of one of pydantic's errors; a number where a text belongs has lost its quotes."""
    message: str = error["msg"].removeprefix("Value error, ")
    lost = error["type"] == "string_type" and isinstance(error["input"], int | float)
    return f"{message}: write it in quotes" if lost else message


def _load(text: str) -> Any:
    """Return a YAML file's content: by libyaml, ten times as fast, and by the full parser where libyaml fails.

    In places libyaml follows YAML 1.1, such as for a colon within a flow mapping's plain value.
    """
    try:
        return YAML(typ="safe").load(text)
    except ConstructorError:  # an unknown tag or key, which the full parser would accept
        raise
    except MarkedYAMLError:
        return YAML(typ="rt").load(text)


def _line(content: Any, location: Location) -> int:
    """Return the 1-based line of the deepest part of a location that the file contains."""
    line = 1
    for part in location:
        if isinstance(content, CommentedMap) and part in content and part in content.lc.data:
            line = content.lc.key(part)[0] + 1
        elif isinstance(content, CommentedSeq) and isinstance(part, int) and part < len(content):
            line = content.lc.item(part)[0] + 1
        else:
            break
        content = content[part]
    return line
