"""Pace: the least speed at which a server counts as alive, the longest time of one file, and the most bytes.

Not here: retries (net.retrying), or the limit on the bytes of a whole model (net.settings).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from weighbridge.errors import SourceMisbehaved, SourceUnavailable


@dataclass(frozen=True)
class Pace:
    """The limits of a stream of bytes.

    Attributes:
        window_s: seconds over which the speed is measured.
        lowest_speed: bytes a second below which a server counts as dead.
        longest: the most bytes of a file without a declared size.
        lifetime_s: the most seconds that one file may take, at any speed.
    """

    window_s: float = 60.0
    lowest_speed: int = 1024
    longest: int = 512 * 1024**2
    lifetime_s: float = 24 * 3600.0

    def held(
        self,
        chunks: Iterable[bytes],
        name: str,
        promised: bool,
        clock: Callable[[], float] = time.monotonic,
        since: float | None = None,
    ) -> Iterator[bytes]:
        """Yield the chunks of a file while they arrive fast enough and within the limits.

        Args:
            chunks: the chunks as they arrive.
            name: the file's name, for messages.
            promised: whether the size is declared.
            clock: returns seconds that only increase.
            since: the time at which the file began, where this is not its first stream.

        Raises:
            SourceUnavailable: it is slower than `lowest_speed`, with the fact `slow`; or takes longer than
                `lifetime_s`, which is final.
            SourceMisbehaved: it has more than `longest` bytes and no declared size.
        """
        begun, arrived, total = clock(), 0, 0
        ends_at = (begun if since is None else since) + self.lifetime_s
        for chunk in chunks:
            arrived, total = arrived + len(chunk), total + len(chunk)
            if not promised and total > self.longest:
                raise SourceMisbehaved(
                    f"{name} has no declared size and more than {self.longest} bytes.",
                    "Nothing was kept. Allow more with WEIGHBRIDGE_MAX_UNPROMISED_SIZE, if the server can be trusted.",
                    path=name,
                )
            now = clock()
            if now > ends_at:
                raise SourceUnavailable(
                    f"{name} has taken more than {self.lifetime_s:g} seconds.",
                    "Run the same command again: it resumes where it stopped. WEIGHBRIDGE_MAX_TRANSFER_S allows more.",
                    path=name,
                    attempts=1,
                )
            if now - begun >= self.window_s:
                if arrived < self.lowest_speed * (now - begun):
                    raise SourceUnavailable(
                        f"{name} arrives at {arrived / (now - begun):.0f} bytes a second.",
                        f"Its server sends less than {self.lowest_speed} a second (WEIGHBRIDGE_LOWEST_SPEED): run the "
                        "same command again later; it resumes where it stopped.",
                        path=name,
                        slow=True,
                    )
                begun, arrived = now, 0
            yield chunk
