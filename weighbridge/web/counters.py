"""Counters of a served process, and of the others that share its port: each writes its own beside theirs.

What a process has counted stays after its end, so that no sum ever becomes smaller. Who waits is counted too, until a
time that is known before: then a killed process leaves nobody behind. Not here: what is counted
(web.traffic), and how it is shown (web.health).
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread

from weighbridge.system import whole_files

#: Seconds between two writes of what the other processes show.
_WRITE_S = 1.0
#: Of those who wait, how many a process knows at once.
_MOST_WAITING = 10_000


class Counters:
    """Numbers that only grow, by the name of their series, and who waits; safe for threads.

    Args:
        folder: where several processes show each other what they counted; None for one process alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._counted: Counter[str] = Counter()
        self._waiting: dict[str, float] = {}
        self._lock = Lock()
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}.json"

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add an amount to each series."""
        with self._lock:
            for name, amount in amounts.items():
                self._counted[name] += amount  # type: ignore[assignment]  # Counter is typed for whole numbers.

    def wait(self, who: str, seconds: float) -> None:
        """Note that somebody will ask again after so many seconds; 0 where they wait no more."""
        with self._lock:
            if not seconds:
                self._waiting.pop(who, None)
                return
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting = _still(self._waiting)
            if len(self._waiting) < _MOST_WAITING or who in self._waiting:
                self._waiting[who] = time.time() + seconds

    @property
    def knows_waiting(self) -> bool:
        """Whether this process has told somebody to wait."""
        return bool(self._waiting)

    def waiting(self) -> int:
        """Return how many wait now, of all processes."""
        with self._lock:
            found = dict(self._waiting)
        for other in self._others():
            for who, until in other["waiting"].items():
                found[who] = max(until, found.get(who, 0.0))
        return len(_still(found))

    def totals(self) -> dict[str, float]:
        """Return every series, summed over all processes, sorted by name."""
        with self._lock:
            found: Counter[str] = Counter(self._counted)
        for other in self._others():
            found.update(other["counted"])
        return dict(sorted(found.items()))

    def _others(self) -> Iterator[dict[str, dict[str, float]]]:
        """Yield what each other process shows."""
        for path in self._folder.glob("*.json") if self._folder is not None else ():
            if path.name != self._name:
                with suppress(OSError, ValueError):  # It is gone, with the whole server.
                    yield json.loads(path.read_text())

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the other processes what this one counts, while the block runs."""
        if self._folder is None:
            yield
            return
        ended = Event()
        thread = Thread(target=self._show, args=(self._folder / self._name, ended), name="counters", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _show(self, path: Path, ended: Event) -> None:
        written = ""
        while True:
            last = ended.wait(_WRITE_S)
            with self._lock:
                self._waiting = _still(self._waiting)
                text = json.dumps({"counted": self._counted, "waiting": self._waiting})
            if text != written:
                with suppress(OSError):  # A full disk stops no request.
                    whole_files.write(path, text)
                    written = text
            if last:
                return


def _still(waiting: Mapping[str, float]) -> dict[str, float]:
    now = time.time()
    return {who: until for who, until in waiting.items() if until > now}
