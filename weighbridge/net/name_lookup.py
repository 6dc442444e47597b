"""Look-ups of names that end: the system's resolver, which nobody waits for longer than a limit.

A name server that never answers keeps the resolver waiting for half a minute or for ever, and nothing can interrupt it.
So it is asked in a thread that is left to itself when the time is over. Whoever asks for the same name meanwhile waits
for that thread's answer, so that a server that asks again and again has one thread for each name. Not here: which
addresses may be connected to (net.addresses).
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from threading import Event, Lock, Thread

from weighbridge.errors import SourceUnavailable
from weighbridge.net.deadlines import left_s

#: Seconds within which a name has to be resolved: twice what the system's resolver waits for one answer.
LOOKUP_S = 10.0
#: Names that may be looked up at once, those included whose answers nobody waits for any more.
MOST = 256
_lock = Lock()
_under_way: dict[str, _LookUp] = {}


def addresses_of(host: str) -> tuple[str, ...]:
    """Return the IP addresses of a host in the system's order, each one once.

    Raises:
        SourceUnavailable: it has none; or the answer takes longer than `LOOKUP_S` or than `deadlines.within` leaves.
    """
    with suppress(ValueError):
        return (str(ipaddress.ip_address(host)).partition("%")[0],)  # It is one: nobody has to be asked.
    left = left_s()
    limit_s = LOOKUP_S if left is None else max(0.0, min(LOOKUP_S, left))
    lookup = _begun(host)
    if not lookup.done.wait(limit_s):
        raise SourceUnavailable(
            f"The name {host} is not resolved within {limit_s:.3g} seconds.",
            "Try again later; if it stays so, the name server of that name does not answer.",
            host=host,
        )
    if lookup.error is not None:
        raise SourceUnavailable(
            f"The host {host} has no address: {lookup.error}.", "Check its name and the network.", host=host
        ) from lookup.error
    return lookup.found


class _LookUp(Thread):
    """One question to the system's resolver.

    Attributes:
        done: set when there is an answer.
        found: the addresses.
        error: why there are none; None where there are some.
    """

    def __init__(self, host: str) -> None:
        super().__init__(name="look-up of a name", daemon=True)
        self._host = host
        self.done = Event()
        self.found: tuple[str, ...] = ()
        self.error: Exception | None = None

    def run(self) -> None:
        """Ask the resolver."""
        try:
            entries = socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
            self.found = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries))
        except (OSError, ValueError) as error:  # ValueError: names that no resolver accepts
            self.error = error
        finally:
            with _lock:
                _under_way.pop(self._host, None)
            self.done.set()


def _begun(host: str) -> _LookUp:
    with _lock:
        if host in _under_way:
            return _under_way[host]
        if len(_under_way) < MOST:
            lookup = _LookUp(host)
            try:
                lookup.start()
            except RuntimeError as error:  # There is no room for another thread.
                raise _too_many(host) from error
            _under_way[host] = lookup  # It takes itself away under the same lock.
            return lookup
    raise _too_many(host)


def _too_many(host: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"The name {host} is not looked up, as too many others are.", "Try again in a minute.", host=host
    )
