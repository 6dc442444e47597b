"""Where a secret is kept: the name of a variable, a file, or a block; never the secret itself."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

from weighbridge.errors import InvalidConfiguration


@dataclass(frozen=True)
class AuthPlace:
    """The place of a token; at most one of the three is set. Raises InvalidConfiguration for two of them.

    Attributes:
        token_env: name of an environment variable.
        token_file: path of a file that holds nothing but the token.
        block: name of a Prefect block, `<name>` or `<type>/<name>`.
    """

    token_env: str = ""
    token_file: str = ""
    block: str = ""

    def __post_init__(self) -> None:
        if sum(map(bool, astuple(self))) > 1:
            raise InvalidConfiguration(
                "Two places of one secret are named.",
                "Name one: a variable (--token-env, token_env), a file (--token-file, token_file) or a block.",
            )


def place_name(place: AuthPlace) -> str:
    """Return the name of the variable, file or block; empty when no place is set."""
    return place.block or place.token_file or place.token_env


def shown_name(place: AuthPlace) -> str:
    """Return a place's name in a form that may be shown: some users write the secret itself where its place belongs."""
    name = place_name(place)
    return name if place.block or (_PATH if place.token_file else _VARIABLE).match(name) else "…"


def is_variable(name: str) -> bool:
    """Return whether a name looks like a variable's, and not like the secret itself."""
    return bool(_VARIABLE.match(name))


#: Usual names of variables, and how paths begin; hardly any token looks like either.
_VARIABLE, _PATH = re.compile(r"[A-Z_][A-Z0-9_]{0,63}$"), re.compile(r"(/|~|\.{1,2}/)")
