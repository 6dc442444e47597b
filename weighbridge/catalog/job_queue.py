"""The queue of jobs, which `Catalog.jobs` returns: one transaction a method, safe for threads and processes.

Not here: the rows (catalog.jobs), and the process that works through the queue (intake.job_worker).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from weighbridge.catalog import job_lists, jobs, messages
from weighbridge.catalog.changes import Changes, Transaction
from weighbridge.catalog.database import take_turns
from weighbridge.catalog.jobs import JobEnd, JobLimits, JobOrder, JobState, StoredJob


class JobQueue:
    """Jobs that wait, run, or have ended. Its errors are those of `Catalog`.

    Orders and ends are changes of the asker; taking a job, and renewing its lease, is in no audit log. An end is also a
    message to the order's callback.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def add(self, order: JobOrder, limits: JobLimits | None = None, *, once: bool = False) -> StoredJob:
        """Queue an order and return its job; one that the asker has sent before, by its key, is not queued twice.

        With `once`, neither is an ingest of the same model from the same URI that has not ended, whoever asked for it.

        Raises:
            KeyReused: the key belongs to another order of this asker.
            TooManyAtOnce: it is one more than `limits` allow.
        """
        with self._changes.of(order.asker).begin() as change:
            if once:
                take_turns(change.connection, f"ingest:{order.name}")
                going_on = job_lists.newest_ingest(change.connection, order.name, order.request["uri"])
                if going_on is not None:
                    return going_on
            job, is_new = jobs.add(change.connection, order, change.now)
            if is_new:
                if limits is not None:
                    jobs.refuse_beyond(change.connection, order.asker, limits)
                _record(change, "queued", job)
        return job

    def sent(self, asker: str, key: str) -> StoredJob | None:
        """Return the job that an asker has sent with a key, or None."""
        with self._database.read() as connection:
            return jobs.sent(connection, asker, key)

    def get(self, id_: str) -> StoredJob:
        """Return a job. Raises NotInCatalog."""
        with self._database.read() as connection:
            return jobs.get(connection, id_)

    def listed(
        self,
        *,
        state: JobState | None = None,
        names: Collection[str] = (),
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> list[StoredJob]:
        """Return the newest jobs first, those before a time and an id only.

        With `names`, patterns, only jobs of models whose names match one; some that match none may be among them.
        """
        with self._database.read() as connection:
            return job_lists.listed(connection, state, names, before, limit)

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state."""
        with self._database.read() as connection:
            return job_lists.counts(connection)

    def newest_ingest(self, name: str, uri: str = "", since: datetime | None = None) -> StoredJob | None:
        """Return the newest ingest of a model that has not ended, or was asked for since a time; or None.

        With a URI, only one from there.
        """
        with self._database.read() as connection:
            return job_lists.newest_ingest(connection, name, uri, since)

    def take(self, owner: str, lease_s: float) -> StoredJob | None:
        """Give a process the oldest job that waits, or whose process has not renewed its lease; None for no job.

        Args:
            owner: the process; its name is used once.
            lease_s: seconds after which another process takes the job over, unless the lease is renewed.
        """
        now = self._changes.clock()
        with self._database.read() as connection:
            if not jobs.is_waiting(connection, now):
                return None
        with self._changes.begin() as change:
            job, ended = jobs.take(change.connection, owner, now, now + timedelta(seconds=lease_s))
            for one in ended:
                _record(change.of(one.order.asker), one.state, one)
        return job

    def renew(self, id_: str, owner: str, lease_s: float, changes: Mapping[str, Any]) -> bool:
        """Extend a lease and change `progress` or `run_url`; return False when the job is no longer that process's."""
        now = self._changes.clock()
        with self._database.write() as connection:
            return jobs.renew(connection, id_, owner, now + timedelta(seconds=lease_s), now, changes)

    def is_wanted(self, id_: str, owner: str) -> bool:
        """Return whether a job is still a process's, and nobody has asked to stop it."""
        with self._database.read() as connection:
            return jobs.is_wanted(connection, id_, owner)

    def give_back(self, id_: str, owner: str) -> None:
        """Queue a process's job again, as if the process had not begun it."""
        with self._database.write() as connection:
            jobs.give_back(connection, id_, owner, self._changes.clock())

    def end(self, id_: str, owner: str, end: JobEnd, progress: Mapping[str, Any]) -> None:
        """Store what a process's job came to; nothing when it is no longer that process's."""
        asker = self.get(id_).order.asker
        with self._changes.of(asker).begin() as change:
            if jobs.end(change.connection, id_, owner, end, progress, change.now):
                _record(change, end.state, jobs.get(change.connection, id_))

    def cancel(self, id_: str) -> StoredJob:
        """Cancel a job: one that waits at once, one that runs as soon as its process reads it.

        Raises:
            NotInCatalog: there is none.
            StateConflict: it has ended in another way.
        """
        with self._changes.begin() as change:
            job, is_new = jobs.cancel(change.connection, id_, change.now)
            if is_new:
                _record(change, "cancelled" if job.ended else "cancelling", job)
        return job

    def forget(self, older_than: timedelta) -> int:
        """Delete the jobs that ended longer ago than that, and return how many; the audit log keeps their rows.

        The key of such a job may be used for another order.
        """
        ended_before = self._changes.clock() - older_than
        with self._database.read() as connection:
            if not jobs.has_ended(connection, ended_before):
                return 0
        with self._changes.begin() as change:
            count = jobs.forget(change.connection, ended_before)
            if count:
                change.record("jobs.forgotten", "jobs", after={"count": count, "before": ended_before.isoformat()})
        return count


def _record(change: Transaction, what: str, job: StoredJob) -> None:
    after = {"job": job.id, "kind": job.order.kind, "asker": job.order.asker}
    if job.end is not None:
        after |= {"status": job.end.status, "version": job.end.version}
        if job.order.callback is not None:
            messages.add_end(change.connection, _message(job, job.end), job.order.callback, change.now, job.id)
    change.record(f"job.{what}", job.order.name, after=after)


def _message(job: StoredJob, end: JobEnd) -> dict[str, Any]:
    """Return what a callback says of the end of a job."""
    values = end.to_json()
    data = {
        "job": job.id,
        "kind": job.order.kind,
        "state": end.state,
        "model": job.order.name,
        "version": end.version or None,
        "status": end.status or None,
        "reasons": values["reasons"],
        "warnings": values["warnings"],
        "error": end.failure(for_admin=False),
        "run_url": job.run_url or None,
    }
    ended_at = job.ended_at.isoformat() if job.ended_at else None
    return {"type": f"job.{end.state}", "timestamp": ended_at, "data": data}
