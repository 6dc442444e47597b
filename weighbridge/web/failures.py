"""Failed attempts to authenticate, by address: after too many, an address has to wait before it tries another key.

A key that was valid lately is not held up, so that one program with an old key stops no other behind the same address.
They are counted in the process that serves, in its memory: a row of the catalog for each would let a guesser hold up
everybody else's writes. Of several processes on one port each allows its part, so that they allow no more together.
Not here: what a failure is (web.authentication).
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock

from weighbridge.domain.access import hash_of
from weighbridge.errors import TooManyFailures

#: Failures that an address may have within `WINDOW_S`, on one machine.
LIMIT = 20
WINDOW_S = 60.0
#: Addresses that are remembered; the one whose last failure is the oldest is forgotten first.
_MAX_ADDRESSES = 10_000
#: Tokens that are remembered as valid, by their hash.
_MAX_TOKENS = 10_000


class Failures:
    """The failures of one process; safe for threads.

    Args:
        processes: how many serve on the same port, each with failures of its own.
        clock: returns seconds that only grow.
    """

    def __init__(self, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = max(1, LIMIT // processes), clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._valid: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def refuse(self, address: str, token: str) -> None:
        """Refuse an address with too many failures, unless the token was valid lately. Raises TooManyFailures."""
        with self._lock:
            if hash_of(token) in self._valid:
                return
            times = self._times.get(_group(address), deque())
            wait_s = times[0] + WINDOW_S - self._clock() if len(times) == self._limit else 0.0
        if wait_s > 0:
            raise TooManyFailures(
                f"Too many requests from {address} had no valid key.",
                f"Wait {math.ceil(wait_s)} seconds, then send a valid one.",
                retry_after_s=math.ceil(wait_s),
            )

    def record(self, address: str) -> None:
        """Count a failure of an address."""
        with self._lock:
            group = _group(address)
            self._times.setdefault(group, deque(maxlen=self._limit)).append(self._clock())
            self._times.move_to_end(group)
            if len(self._times) > _MAX_ADDRESSES:
                self._times.popitem(last=False)

    def accept(self, token: str) -> None:
        """Remember that a token is valid."""
        with self._lock:
            key = hash_of(token)
            self._valid[key] = None
            self._valid.move_to_end(key)
            if len(self._valid) > _MAX_TOKENS:
                self._valid.popitem(last=False)


def _group(address: str) -> str:
    """Return what is counted together: an IPv4 address, or the 64 bits of an IPv6 network, which one customer has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found, 64), strict=False))
