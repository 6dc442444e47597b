"""Claims: how the statements of an organisation's issuer about a person or program become a caller.

Not here: whether the issuer made them (net.issuer_tokens).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.access import ROLES, Caller, Role, checked_models
from weighbridge.domain.text import shown
from weighbridge.errors import NotAuthenticated, NotPermitted, UsageError

#: A signed token (RFC 7515, compact): three parts of base64url. A key has no dot.
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
#: Claims of OAuth that hold several values in one text (RFC 8693, section 4.2).
_SPACED = frozenset({"scope", "scp"})
_MAX_SUBJECT = 200
_ALL_MODELS = "*"
_ASK = "Ask the operator of this registry."


def looks_like_token(text: str) -> bool:
    """Return whether a text has the shape of a signed token of an issuer."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True)
class ClaimRules:
    """The rules by which claims make a caller.

    A claim is named by its path: `groups`, or `realm_access.roles` for one within another.

    Attributes:
        roles: the role for each value of the role claim; of several, the highest counts.
        role_claim: the claim with roles or groups: a text or a list of texts.
        models_claim: the claim with patterns of models' names; empty where the role holds for every model.
        subject_claim: the claim with the caller's name.
    """

    roles: Mapping[str, Role]
    role_claim: str
    models_claim: str
    subject_claim: str

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """Return the caller that verified claims describe.

        Raises:
            NotAuthenticated: they have no usable name.
            NotPermitted: they give no role, or no model that the role holds for.
        """
        name = self._name(claims)
        held = {self.roles[value] for value in _texts(claims, self.role_claim) if value in self.roles}
        if not held:
            raise NotPermitted(
                f"The token of {name} gives no role here: no value of its claim “{self.role_claim}” is known.",
                _ASK,
                name=name,
            )
        return Caller(name, max(held, key=ROLES.index), self._models(name, claims), kind="issuer")

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = _claim(claims, self.subject_claim)
        if not isinstance(name, str) or not name or shown(name, _MAX_SUBJECT) != name.strip():
            raise NotAuthenticated(
                f"The claim “{self.subject_claim}” of the token is no name of at most {_MAX_SUBJECT} characters.", _ASK
            )
        return name

    def _models(self, name: str, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the patterns that a role holds for; none for every model. A token that names none is refused."""
        if not self.models_claim:
            return ()
        patterns = _texts(claims, self.models_claim)
        if _ALL_MODELS in patterns:
            return ()
        try:
            models = checked_models(patterns)
        except UsageError as error:
            raise NotPermitted(f"{error.problem} It is in the token of {name}.", _ASK, name=name) from error
        if not models:
            raise NotPermitted(
                f"The token of {name} is for no model: its claim “{self.models_claim}” has no pattern.", _ASK, name=name
            )
        return models


def _texts(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the texts of a claim: its own, or those of its list; values of other types count as none."""
    value = _claim(claims, path)
    if isinstance(value, str):
        return value.split() if path in _SPACED else [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim at a path, or None; a dot may also be part of a name, as in `https://example.com/roles`."""
    if path in claims:
        return claims[path]
    for dot in reversed([place for place, sign in enumerate(path) if sign == "."]):
        inner = claims.get(path[:dot])
        if isinstance(inner, Mapping):
            return _claim(inner, path[dot + 1 :])
    return None
