"""The organisation's issuer: makes callers of the bearer tokens that it gives out, as the settings say.

Not here: verifying a token (net.issuer_tokens), and what its claims allow (domain.claims).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.config.settings import Settings
from weighbridge.domain.access import Caller
from weighbridge.domain.claims import ClaimRules
from weighbridge.net.retrying import Retrying
from weighbridge.net.transfer import Transfer

if TYPE_CHECKING:
    from weighbridge.net.issuer_tokens import IssuerTokens

#: Seconds without a byte after which the issuer counts as away: requests wait for it.
_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Issuer:
    """An issuer, and the rules for what its tokens say.

    Attributes:
        tokens: verifies them.
        rules: make callers of their claims.
    """

    tokens: IssuerTokens
    rules: ClaimRules

    def caller(self, token: str) -> Caller:
        """Return the caller that a token stands for.

        Raises:
            NotAuthenticated: it is not a valid token.
            NotPermitted: it gives no role here.
            IssuerUnavailable: the issuer has to be asked, and cannot be.
        """
        return self.rules.caller(self.tokens.claims(token))

    def greet(self) -> str:
        """Ask the issuer for its keys, and return in words how many there are. Raises SourceError."""
        keys = self.tokens.keys.read()
        algorithms = sorted({name for key in keys for name in key.algorithms})
        return f"{len(keys)} keys for {', '.join(algorithms)}" if keys else ""


def issuer_of(settings: Settings) -> Issuer | None:
    """Return the issuer of the settings, or None where they name none."""
    if not settings.issuer:
        return None
    # The library for tokens takes a while to import, which only a process with an issuer needs.
    from weighbridge.net.issuer_keys import IssuerKeys
    from weighbridge.net.issuer_tokens import IssuerTokens

    transfer = Transfer(
        timeout_s=min(_TIMEOUT_S, settings.timeout_s),
        max_redirects=0,
        addresses=settings.issuer_addresses,
        retrying=Retrying(attempts=1),
    )
    keys = IssuerKeys(settings.issuer, transfer)
    tokens = IssuerTokens(settings.issuer, settings.issuer_audiences, settings.issuer_leeway_s, keys)
    rules = ClaimRules(
        settings.issuer_roles,
        settings.issuer_role_claim,
        settings.issuer_models_claim,
        settings.issuer_subject_claim,
    )
    return Issuer(tokens, rules)
