"""Variables in a file of the operator: `${NAME}` and `${NAME:-otherwise}` within a value become what they stand for.

`$${` stands for `${`; every other `$` is itself. Not here: files that name the place of a secret (source_options).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weighbridge.config.source_factories import FieldPlace

_MARK = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|\$\{")


def expanded(content: Any, place: FieldPlace, variables: Mapping[str, str]) -> Any:
    """Return the content of a file with every variable in its values expanded; keys stay as they are.

    Args:
        content: the content, as YAML has it.
        place: its place in the file.
        variables: their values by name.

    Raises:
        InvalidConfiguration: a variable is not set and has no other value, or a `${` begins none; the message names
            file, line and field, and no value.
    """
    if isinstance(content, Mapping):
        return {key: expanded(value, place / key, variables) for key, value in content.items()}
    if isinstance(content, list):
        return [expanded(value, place / number, variables) for number, value in enumerate(content)]
    if not isinstance(content, str):
        return content

    def value_of(mark: re.Match[str]) -> str:
        name, default = mark["name"], mark["default"]
        if mark[0] == "$${":
            return "${"
        if name is None:
            raise place.problem("a variable is written ${NAME} or ${NAME:-otherwise}, and a plain “${” as $${")
        found = variables.get(name)
        if default is not None:
            return found or default.removeprefix(":-")
        if found is None:
            raise place.problem(
                f"the environment variable {name} is not set: set it, or write ${{{name}:-}} where it may be missing"
            )
        return found

    return _MARK.sub(value_of, content)
