"""The right to read a repository, asked of a Hub for one token.

Not here: for how long the answer counts (intake.hub_tokens).
"""

from __future__ import annotations

from weighbridge.net.hub.refusals import REFUSED, refusal_of
from weighbridge.net.transfer import Transfer


def check_access(transfer: Transfer, url: str, *, authorization: str, via: str = "") -> None:
    """Return if a Hub lets a token read the files of a repository.

    Args:
        transfer: sends the request.
        url: `…/auth-check`.
        authorization: value of the header.
        via: value of the header `Via`, or empty.

    Raises:
        ModelNotFound: the Hub shows the token no such repository.
        AccessDenied: it does not let the token read it; where `facts["credentials"]`, the token is none of its own.
        SourceUnavailable, SourceMisbehaved: as `Transfer.read`.
    """
    headers = {"Via": via} if via else {}
    found = transfer.read(url, accept="*/*", authorization=authorization, headers=headers, also=REFUSED)
    if found.status in REFUSED:
        raise refusal_of(found, url)
