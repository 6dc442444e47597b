"""What a nightly refresh of the Hub's catalogue goes through: all models from time to time, else what changed.

Gated status and downloads change without a new date, and deleted models are in no list of changes: only a full refresh
sees them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from weighbridge.domain.hub_models import HubState, PassKind

#: A full refresh that is due within this time is done now: the nights of a schedule are not exactly a day apart.
_EARLY = timedelta(hours=12)


def due_kind(state: HubState, now: datetime, full_every: timedelta) -> PassKind:
    """Return what a refresh goes through now.

    Args:
        state: of the Hub's catalogue.
        now: the time.
        full_every: how old the last full refresh may be.

    Returns:
        FULL where there was none yet, or where the last one began that long ago; a full one that was interrupted is
        then resumed.
    """
    if state.full is None or now - state.full.begun_at >= full_every - _EARLY:
        return PassKind.FULL
    return PassKind.RECENT
