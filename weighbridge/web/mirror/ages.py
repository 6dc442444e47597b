"""Ages of answers that depend on a branch upstream: how long ago its Hub said where it is, and whether that is old.

Not here: what is known of the branch (intake.upstream_branches).
"""

from __future__ import annotations

from weighbridge.intake.upstream_branches import Branch

#: Codes of `Warning` (RFC 7234, section 5.5) with their texts: it is old, and the Hub was asked in vain.
_STALE = '110 weighbridge "Response is Stale"'
_FAILED = '111 weighbridge "Revalidation Failed"'
_HOUR_S, _MINUTE_S = 3600, 60


def age_headers(branch: Branch) -> dict[str, str]:
    """Return the headers of an answer that depends on a branch."""
    codes = ([] if branch.is_fresh else [_STALE]) + ([_FAILED] if branch.problem else [])
    return {"age": str(branch.age_s), **({"warning": ", ".join(codes)} if codes else {})}


def age_warnings(branch: Branch) -> tuple[str, ...]:
    """Return what the user of a client should know, a sentence each."""
    if not branch.problem:
        return ()
    return (f"this is how the Hub had it {_ago(branch.age_s)} ago, as it cannot be asked now.",)


def _ago(age_s: int) -> str:
    for unit_s, unit in ((_HOUR_S, "hours"), (_MINUTE_S, "minutes")):
        if age_s >= 2 * unit_s:
            return f"{age_s // unit_s} {unit}"
    return f"{age_s} seconds"
