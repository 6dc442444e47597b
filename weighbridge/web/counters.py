"""Counters of a served process, and of the others that share its port: each writes its own beside theirs.

What a process has counted stays after its end, so that no sum ever becomes smaller. Not here: what is counted
(web.traffic), and how it is shown (web.health).
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread

from weighbridge.system import whole_files

#: Seconds between two writes of what the other processes show.
_WRITE_S = 1.0


class Counters:
    """Numbers that only grow, by the name of their series; safe for threads.

    Args:
        folder: where several processes show each other what they counted; None for one process alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._counted: Counter[str] = Counter()
        self._lock = Lock()
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}.json"

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add an amount to each series."""
        with self._lock:
            for name, amount in amounts.items():
                self._counted[name] += amount  # type: ignore[assignment]  # Counter is typed for whole numbers.

    def totals(self) -> dict[str, float]:
        """Return every series, summed over all processes, sorted by name."""
        with self._lock:
            found: Counter[str] = Counter(self._counted)
        if self._folder is not None:
            for path in self._folder.glob("*.json"):
                if path.name != self._name:
                    with suppress(OSError, ValueError):  # It is gone, with the whole server.
                        found.update(json.loads(path.read_text()))
        return dict(sorted(found.items()))

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
                text = json.dumps(self._counted)
            if text != written:
                with suppress(OSError):  # A full disk stops no request.
                    whole_files.write(path, text)
                    written = text
            if last:
                return
