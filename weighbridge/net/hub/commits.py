"""The commit that a branch or a tag of a repository is at, asked of a Hub with one small request.

`expand=sha` leaves everything else out of the answer, so that its ETag changes with the commit and not with each
download; a Hub that answers 304 to it sends no body. Not here: how often a Hub is asked (intake.branch_questions).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from weighbridge.errors import SourceMisbehaved
from weighbridge.net.hub.refusals import REFUSED, refusal_of
from weighbridge.net.transfer import FetchedDocument, Transfer

COMMIT = re.compile(r"[0-9a-f]{40}")
#: Bytes of an answer: a Hub that does not know `expand` describes the whole repository.
_MAX_SIZE = 32 * 1024**2
_ETAG = re.compile(r'(?:W/)?"[^"\x00-\x1f\x7f]{1,512}"')


@dataclass(frozen=True)
class CommitAnswer:
    """What a Hub says of a branch.

    Attributes:
        commit: the commit that it is at; empty where it is the one of the answer with the ETag that was sent.
        etag: of this answer; empty for none.
    """

    commit: str
    etag: str


def ask_commit(transfer: Transfer, url: str, *, authorization: str = "", etag: str = "", via: str = "") -> CommitAnswer:
    """Ask what commit a revision is.

    Args:
        transfer: sends the request.
        url: `…/revision/<revision>` without a query.
        authorization: value of the header, or empty.
        etag: that of an earlier answer, or empty.
        via: value of the header `Via`, or empty.

    Raises:
        ModelNotFound: there is no such repository, or where `facts["revision"]`, no such revision of it.
        AccessDenied: the Hub refuses to say.
        SourceMisbehaved: the answer names no commit.
        SourceUnavailable: as `Transfer.read`.
    """
    named = (("If-None-Match", etag), ("Via", via))
    found = transfer.read(
        f"{url}?expand=sha",
        accept="application/json",
        authorization=authorization,
        max_size=_MAX_SIZE,
        headers={name: value for name, value in named if value},
        also=(*REFUSED, 304),
    )
    if found.status in REFUSED:
        raise refusal_of(found, url)
    known = found.headers.get("etag", "")
    if found.status == 304 and etag:
        return CommitAnswer("", known or etag)
    return CommitAnswer(_commit(found, url), known if _ETAG.fullmatch(known) else "")


def _commit(found: FetchedDocument, url: str) -> str:
    try:
        commit = json.loads(found.content)["sha"]
    except (ValueError, KeyError, TypeError, RecursionError):
        commit = None
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise SourceMisbehaved(
            f"The response of {url} names no commit.",
            "Check that the endpoint is a Hugging Face Hub or a true mirror of one.",
            url=url,
        )
    return commit
