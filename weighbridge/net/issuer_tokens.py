"""Tokens of an OpenID Connect issuer: proven to be the issuer's, for this registry, and valid now.

What a token says of how to verify it is not believed: the key is one of the issuer's, whatever address or key its
header brings (`jku`, `jwk`, `x5u`), and the algorithm is one that this key may verify. Not here: the keys
(net.issuer_keys), and what the claims allow (domain.claims).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from weighbridge.errors import NotAuthenticated
from weighbridge.net.issuer_keys import IssuerKeys, VerifyingKey

#: Characters of a token; those of issuers that name a hundred groups have some 10,000.
MAX_TOKEN = 16 * 1024
_REQUIRED = ("exp", "iat", "iss", "aud", "sub")
#: Types of tokens that stand for a caller (RFC 9068 for the second); others, such as of logouts, are no such thing.
_TYPES = frozenset({"jwt", "at+jwt"})
#: What a refused claim means to its sender.
_CLAIMS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet; compare the clocks of this server and the issuer",
    jwt.InvalidAudienceError: "it is for another audience than this registry",
    jwt.InvalidIssuerError: "it is from another issuer than this registry's",
}


@dataclass(frozen=True)
class IssuerTokens:
    """Verifies the tokens of one issuer.

    Attributes:
        issuer: its URL, exactly as tokens have it.
        audiences: those that a token may be for; one of them is enough.
        leeway_s: seconds by which the clocks of issuer and registry may differ.
        keys: the issuer's keys.
    """

    issuer: str
    audiences: tuple[str, ...]
    leeway_s: float
    keys: IssuerKeys

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token.

        Raises:
            NotAuthenticated: it is not a valid token of the issuer for this registry.
            IssuerUnavailable: its key is not known, and the issuer cannot be asked now.
        """
        algorithm, id_ = _header(token)
        keys = [key for key in self.keys.named(id_) if algorithm in key.algorithms]
        if not keys:
            raise _refused("its issuer has no key for it")
        for key in keys:
            try:
                claims = self._verified(token, algorithm, key)
            except jwt.InvalidSignatureError:
                continue
            if "cnf" in claims:
                raise _refused("it is bound to a key of its holder, for which this registry cannot ask")
            return claims
        raise _refused("its signature is wrong")

    def _verified(self, token: str, algorithm: str, key: VerifyingKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=list(self.audiences),
                issuer=self.issuer,
                leeway=self.leeway_s,
                options={"require": list(_REQUIRED)},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"it has no claim “{error.claim}”") from error
        except (jwt.PyJWTError, ValueError) as error:
            raise _refused(_CLAIMS.get(type(error), "it is malformed")) from error


def _header(token: str) -> tuple[str, str | None]:
    """Return the algorithm and the id of the key that a token names. Raises NotAuthenticated."""
    if len(token) > MAX_TOKEN:
        raise _refused(f"it has more than {MAX_TOKEN} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise _refused("it is malformed") from error
    if "crit" in header or "b64" in header:
        raise _refused("its header demands an extension that this registry does not have")
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
        raise _refused("it is of a type that stands for no caller")
    algorithm, id_ = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise _refused("it is malformed")
    return algorithm, id_


def _refused(why: str) -> NotAuthenticated:
    return NotAuthenticated(f"The token is refused: {why}.", "Get a new one from the issuer for this registry.")
