"""The challenges of a 401 response: the content of a WWW-Authenticate header (RFC 9110, section 11.6.1).

Not here: whether and how they are answered (net.oci.access).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}"
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_SCHEME = re.compile(rf"({_WORD})(?=[ \t]|,|$)")
_SEPARATOR = re.compile(r"[ \t,]*")
#: The credentials that a scheme may have instead of parameters, such as `Negotiate dG9rZW4=`.
_CREDENTIALS = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate: the scheme and the names of its parameters in lowercase, the values as sent."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of a WWW-Authenticate header, up to the first that cannot be parsed."""
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    position = 0
    while True:
        position = _end(_SEPARATOR, header, position)
        if found and (match := _PARAMETER.match(header, position)):
            name, quoted, plain = match.groups()
            parameters.setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        elif match := _SCHEME.match(header, position):
            parameters = {}
            found.append(Challenge(match[1].lower(), parameters))
            match = _CREDENTIALS.match(header, match.end()) or match
        else:
            return tuple(found)
        position = match.end()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
