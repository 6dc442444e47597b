"""Names of models: what one may be, so that a command, a path, a URL and a list can all say it later.

Not here: the shorter alphabet that registries map names to (registries.naming).
"""

from __future__ import annotations

from weighbridge.domain.text import shown
from weighbridge.errors import InvalidName

#: Bytes of UTF-8; a folder's name can hold no more.
MAX_NAME_BYTES = 255
#: What has a meaning in `NAME@VERSION`, in a list of names, in a URL, in a pattern, or on a system with drives.
FORBIDDEN = '@,?#%*[]\\"<>|'
#: What a server's form can check; `checked_name` refuses all that this does not match, and more.
PATTERN = r"^(?![-/ ])[^@,?#%*\[\]\\\"<>|\x00-\x1f\x7f]*$"


def checked_name(name: str) -> str:
    """Return a model's name unchanged where it can be addressed later.

    Raises:
        InvalidName: it is empty or too long, has a sign of `FORBIDDEN` or an invisible character, begins like an
            option, or is no path within a folder.
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
        return "is no path within a folder"
    return ""
