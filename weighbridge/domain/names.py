"""Names of models: which ones are valid, so that a command, a path, a URL and a list can all hold them.

Not here: the shorter alphabet that registries map names to (registries.naming).
"""

from __future__ import annotations

from weighbridge.domain.text import shown
from weighbridge.errors import InvalidName

#: Bytes of UTF-8; the name of a folder cannot be longer.
MAX_NAME_BYTES = 255
#: Characters with a meaning in `NAME@VERSION`, in a list of names, in a URL, in a pattern, or on Windows.
FORBIDDEN = '@,?#%*[]\\"<>|'
#: The part of the check that a web form can make; `checked_name` refuses all that this does not match, and more.
PATTERN = r"^(?![-/ ])[^@,?#%*\[\]\\\"<>|\x00-\x1f\x7f]*$"


def checked_name(name: str) -> str:
    """Return a model's name unchanged when it is valid.

    Raises:
        InvalidName: it is empty or too long, has a character of `FORBIDDEN` or an invisible one, begins like an
            option, or is not a path within a folder.
    """
    if why := _wrong(name):
        raise InvalidName(
            f"The model name “{shown(name, 80)}” {why}.",
            "Give the model another name with --name, or with `name` in models.yaml: letters, digits and . _ - + / : "
            "are safe.",
            name=name,
        )
    return name


def _wrong(name: str) -> str:
    if not name:
        return "is empty"
    if shown(name) != name or name != name.strip():
        return "has characters that cannot be seen"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"has more than {MAX_NAME_BYTES} bytes"
    if signs := sorted({sign for sign in name if sign in FORBIDDEN}):
        return f"holds {' and '.join(signs)}, which a command or a URL reads as something else"
    if name.startswith("-"):
        return "begins like an option"
    if any(part in ("", ".", "..") or part != part.strip() for part in name.split("/")):
        return "is not a path within a folder"
    return ""
