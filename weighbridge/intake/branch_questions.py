"""Questions to Hubs what commit a branch is at, asked in threads of their own: one for all who wait for its answer.

A client waits for an answer for a moment only. What is asked goes on all the same, and the answer is in the catalog for
the next one, of this process or another. A Hub that is away is not asked again for a while, and nobody waits for it.
Not here: which branch, of which Hub, and how it is asked (intake.upstream_branches).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import BoundedSemaphore, Lock

from weighbridge.catalog import BranchKey, StoredBranch
from weighbridge.catalog.branches import Branches
from weighbridge.errors import SourceUnavailable, WeighbridgeError
from weighbridge.net.hub.commits import CommitAnswer

#: Asks a Hub; the argument is the ETag of its last answer, or empty.
Ask = Callable[[str], CommitAnswer]
#: Seconds after which another process may ask, should the one that asks have died.
_TURN_S = 20.0
#: Seconds after which a Hub is asked again that failed, where it does not say; and the most that it may say.
AWAY_S, _MOST_AWAY_S = 30.0, 900.0
#: Seconds for which what a Hub refused or does not have counts.
REFUSED_S = 60.0
#: Questions of a process at once, and those that wait for their turn; requests that wait for an answer at once.
_AT_ONCE, _MOST_WAITING, _MOST_PATIENT = 4, 200, 6
_LOOK_EVERY_S = 0.2
_log = logging.getLogger(__name__)


class BranchQuestions:
    """The questions of one process; safe for threads.

    Args:
        branches: what all processes know.
    """

    def __init__(self, branches: Branches) -> None:
        self._branches, self._lock = branches, Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._asked: dict[BranchKey, Future[None]] = {}
        self._away: dict[str, float] = {}
        self._patient = BoundedSemaphore(_MOST_PATIENT)

    def ask(self, key: BranchKey, ask: Ask, wait_s: float, then: Callable[[], None] | None = None) -> None:
        """Ask what commit a branch is at, unless it is being asked; return with the answer, or after a while.

        Nothing is asked of a Hub that is away, or while many questions wait already.

        Args:
            key: the branch.
            ask: asks its Hub.
            wait_s: seconds after which this returns without an answer.
            then: is called in the thread that asks once the Hub has answered; None for nothing.
        """
        with self._lock:
            question = self._asked.get(key)
            if question is None:
                if self.away_s(key.hub) or len(self._asked) >= _MOST_WAITING:
                    return
                if self._threads is None:
                    self._threads = ThreadPoolExecutor(_AT_ONCE, "branches")
                question = self._asked[key] = self._threads.submit(self._answer, key, ask, then)
        if wait_s and self._patient.acquire(blocking=False):
            try:
                _wait(question, wait_s)
            finally:
                self._patient.release()

    def away_s(self, hub: str) -> float:
        """Return the seconds for which a Hub is asked nothing by this process, as it was away; 0 for none."""
        return max(0.0, self._away.get(hub, 0.0) - time.monotonic())

    def close(self) -> None:
        """End: what waits for its turn is not asked any more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(self, key: BranchKey, ask: Ask, then: Callable[[], None] | None) -> None:
        try:
            if not self._branches.begin(key, timedelta(seconds=_TURN_S)):
                self._follow(key)
            elif self._store(key, ask) and then is not None:
                then()
        except WeighbridgeError as error:
            _log.warning("What follows of %s of %s at %s was not done: %s", key.revision, key.name, key.hub, error)
        finally:
            with self._lock:
                del self._asked[key]

    def _store(self, key: BranchKey, ask: Ask) -> bool:
        """Ask the Hub, and store what it says or why it does not; return whether it said it."""
        known = self._branches.of(key)
        try:
            found = ask(known.etag if known is not None and known.commit else "")
        except WeighbridgeError as error:
            self._branches.failed(key, type(error).__name__, str(error), self._pause(key, error))
            if known is not None and known.commit:
                _log.warning(
                    "%s of %s is served as it was at %s (commit %s): %s",
                    *(key.revision, key.name, known.checked_at, known.commit, error),
                )
            return False
        commit = found.commit or (known.commit if known is not None else "")
        self._branches.answered(key, commit, found.etag)
        if known is not None and known.commit not in ("", commit):
            _log.info("%s of %s moved from %s to %s", key.revision, key.name, known.commit, commit)
        return True

    def _pause(self, key: BranchKey, error: WeighbridgeError) -> timedelta:
        """Return for how long a failure counts; one that is the whole Hub's counts for all of its branches."""
        if not isinstance(error, SourceUnavailable):
            return timedelta(seconds=REFUSED_S)
        pause_s = min(_MOST_AWAY_S, max(error.facts.get("retry_after_s") or 0.0, AWAY_S))
        status = error.facts.get("http_status")
        if status is None or status == 429:  # It is not reached, or wants fewer requests.
            with self._lock:
                self._away[key.hub] = time.monotonic() + pause_s
        return timedelta(seconds=pause_s)

    def _follow(self, key: BranchKey) -> None:
        """Wait until the process that asks has its answer."""
        ends = time.monotonic() + _TURN_S
        while time.monotonic() < ends and _is_asked(self._branches.of(key)):
            time.sleep(_LOOK_EVERY_S)


def _is_asked(known: StoredBranch | None) -> bool:
    return known is not None and known.asked_until is not None


def _wait(question: Future[None], wait_s: float) -> None:
    try:
        question.exception(wait_s)
    except TimeoutError:
        return
