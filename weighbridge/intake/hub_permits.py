"""Permits: what tokens of Hubs may read, as their Hubs said a moment ago; remembered by the hash of each token.

Not here: asking a Hub (intake.hub_tokens).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import BoundedSemaphore, Lock

from weighbridge.errors import (
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceUnavailable,
    WeighbridgeError,
)

#: Seconds for which an answer of the Hub counts: that a token may read a repository, and that it may not.
PERMITTED_S, REFUSED_S = 60.0, 10.0
#: Answers that are remembered, and requests that wait for one at once.
_MOST, _MOST_WAITING = 10_000, 4
_SOON_S = 2
#: A Hub, a kind of repository, a name, and the hash of a token.
PermitKey = tuple[str, str, str, str]


class HubTokens:
    """What tokens of Hubs may read, as far as this process was told lately. Safe for threads.

    Args:
        clock: returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._told: OrderedDict[PermitKey, tuple[float, WeighbridgeError | None]] = OrderedDict()
        self._waiting = BoundedSemaphore(_MOST_WAITING)

    def refuse(self, key: PermitKey, ask: Callable[[], None]) -> None:
        """Raise what a Hub says against a token; `ask` asks it, where it has not said so lately."""
        with self._lock:
            until, refusal = self._told.get(key, (0.0, None))
        if self._clock() >= until:
            refusal = self._asked(key, ask)
        if refusal is not None:
            raise refusal

    def _asked(self, key: PermitKey, ask: Callable[[], None]) -> WeighbridgeError | None:
        if not self._waiting.acquire(blocking=False):
            raise SourceUnavailable(
                "The Hub is being asked what other tokens may read.",
                "Ask again in some seconds.",
                retry_after_s=_SOON_S,
            )
        refusal: WeighbridgeError | None = None
        try:
            ask()
        except (NotPermitted, NotInCatalog, NotAuthenticated) as error:
            refusal = error
        finally:
            self._waiting.release()
        with self._lock:
            self._told[key] = (self._clock() + (PERMITTED_S if refusal is None else REFUSED_S), refusal)
            self._told.move_to_end(key)
            if len(self._told) > _MOST:
                self._told.popitem(last=False)
        return refusal
