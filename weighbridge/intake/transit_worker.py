"""The worker of transits: has each model weighed that was handed on, and names who got it when there is a verdict.

A model is weighed once nothing of it was asked for in some seconds: until then, its clients have the connection to its
Hub for themselves. Its job takes what is here already. Not here: handing on (intake.read_through), and the job
(intake.job_run).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Self

from weighbridge.catalog import Transit, TransitEnd
from weighbridge.domain.access import ANONYMOUS, KINDS, Caller, CallerKind
from weighbridge.errors import TooManyAtOnce
from weighbridge.intake.mirror_ingests import begun
from weighbridge.intake.mirrored_models import SOURCE_KINDS
from weighbridge.intake.queue_worker import STOP_S
from weighbridge.intake.read_through import described, import_ahead, job_of
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen

#: Seconds without a request for a file after which a model is weighed.
QUIET_S = 3.0
_ROUND_S = 1.0
_log = logging.getLogger(__name__)


class TransitWorker:
    """Looks at every transit now and then while its context lasts; does nothing where no model is handed on.

    Args:
        resources: those of the process.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources, self._stopping = resources, Event()
        self._thread = Thread(target=self._work, name="transits", daemon=True)

    def __enter__(self) -> Self:
        if self._resources.mirror.reads_through:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._resources.open_transits.close()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _work(self) -> None:
        import_ahead(SOURCE_KINDS["models"])
        while not self._stopping.wait(_ROUND_S):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 (what meets a bug once is tried again)
                folder = self._resources.settings.folder
                _log.error("What is handed on before its verdict: %s", foreseen(error, "transits", folder))

    def look(self) -> None:
        """Look at every transit once."""
        transits, now = self._resources.catalog.transits, self._resources.clock()
        active = set(self._resources.open_transits.active(QUIET_S))
        for transit in transits.unweighed():
            assert transit.used_at is not None
            if transit.id in active and not transit.job and now - transit.used_at > timedelta(seconds=QUIET_S / 2):
                transits.use(transit.id)
            elif transit.job or (transit.id not in active and now - transit.used_at > timedelta(seconds=QUIET_S)):
                self._weigh(transit)
        self._resources.open_transits.close_idle()

    def _weigh(self, transit: Transit) -> None:
        """Settle a transit that has a verdict, or could not get one, and have another one weighed."""
        if self._has_verdict(transit):
            return
        job = job_of(transit, self._resources)
        assert transit.used_at is not None
        if job is None or (job.ended_at is not None and transit.used_at > job.ended_at):
            self._order(transit)
        elif job.end is not None:
            self._settle(transit, "", {"status": job.end.state, "problem": job.end.problem})

    def _has_verdict(self, transit: Transit) -> bool:
        """Settle a transit whose commit is a version of the catalog; return whether it is."""
        model = self._resources.kept.model(transit.name)
        found = model.find(transit.commit) if model is not None else None
        version = self._resources.kept.version(transit.name, found[0].number) if found is not None else None
        if version is None or version.status in ("PENDING", "FETCHING", "SCANNING"):
            return False
        facts = {"status": version.status, "manifest": str(version.manifest.digest)}
        self._settle(transit, version.version, facts)
        return True

    def _settle(self, transit: Transit, version: str, facts: dict[str, str]) -> None:
        end = TransitEnd(version, facts["status"] == "PASSED", facts)
        if self._resources.catalog.transits.settle(transit.id, end) and not end.passed:
            _log.warning(
                "%s was handed on before its verdict, and is %s: `weighbridge audit list --action version.exposed` "
                "names who has files of it.",
                transit.name,
                facts["status"],
            )

    def _order(self, transit: Transit) -> None:
        """Have a transit weighed, at its commit, on behalf of whoever asked for it first."""
        ref, caller = described(transit, self._resources).manifest.ref, _caller(transit.asker)
        try:
            job = begun(ref, transit.name, caller, self._resources)
        except TooManyAtOnce:
            return  # It is tried again in the next round.
        self._resources.catalog.transits.weighed_by(transit.id, job.id)


def _caller(actor: str) -> Caller:
    """Return the caller whom the audit log calls so."""
    kind, _, name = actor.partition(":")
    known: CallerKind = next((one for one in KINDS if one == kind), "key")
    return Caller(name, "reader", kind=known) if name else ANONYMOUS
