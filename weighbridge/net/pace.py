"""Pace: the least that a server has to send to count as alive, how long that may go on, and the most it may send.

Not here: how often a source is asked again (net.retrying), or the bytes that a whole model may have (net.settings).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from weighbridge.errors import SourceMisbehaved, SourceUnavailable


@dataclass(frozen=True)
class Pace:
    """What a stream of bytes is held to.

    Attributes:
        window_s: seconds over which the speed is taken.
        lowest_speed: bytes a second below which a server counts as dead.
        longest: bytes that a file may have whose size nobody promised.
        lifetime_s: seconds that one file may take, however fast it comes.
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
        """Yield the chunks of a file as long as they come fast enough, and no more or longer than they may come.

        Args:
            chunks: what arrives.
            name: of the file, for messages.
            promised: whether somebody said how many bytes there are.
            clock: seconds that only grow.
            since: when the file was begun, where this is not its first stream.

        Raises:
            SourceUnavailable: less than `lowest_speed`, with the fact `slow`; or for more than `lifetime_s`, which is
                final.
            SourceMisbehaved: more than `longest`, where nothing was promised.
        """
        begun, arrived, total = clock(), 0, 0
        ends_at = (begun if since is None else since) + self.lifetime_s
        for chunk in chunks:
            arrived, total = arrived + len(chunk), total + len(chunk)
            if not promised and total > self.longest:
                raise SourceMisbehaved(
                    f"{name} comes without a size and has more than {self.longest} bytes.",
                    "Nothing was kept. Ask its server for a size, or allow more with WEIGHBRIDGE_MAX_UNPROMISED_SIZE.",
                    path=name,
                )
            now = clock()
            if now > ends_at:
                raise SourceUnavailable(
                    f"{name} has been coming for more than {self.lifetime_s:g} seconds.",
                    "Run the same command again: it resumes where it stopped. WEIGHBRIDGE_MAX_TRANSFER_S allows more.",
                    path=name,
                    attempts=1,
                )
            if now - begun >= self.window_s:
                if arrived < self.lowest_speed * (now - begun):
                    raise SourceUnavailable(
                        f"{name} comes with {arrived / (now - begun):.0f} bytes a second.",
                        f"Its server sends less than {self.lowest_speed} a second (WEIGHBRIDGE_LOWEST_SPEED): run the "
                        "same command again later; it resumes where it stopped.",
                        path=name,
                        slow=True,
                    )
                begun, arrived = now, 0
            yield chunk
