"""Jobs in the catalog: work that others asked for, the process that does it, and what it came to.

A process takes a job with a lease that it renews; when it ends without a word, the lease runs out and another process
takes the job over. Not here: one transaction a method (catalog.job_queue), lists (catalog.job_lists), and the
work (intake.job_run).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Row, case, exists, func, select

from weighbridge import errors
from weighbridge.catalog import schema, webhook_tables
from weighbridge.catalog.database import insert
from weighbridge.domain.decision import Reason
from weighbridge.domain.webhooks import Destination
from weighbridge.errors import KeyReused, NotInCatalog, StateConflict, TooManyAtOnce

JobKind = Literal["ingest", "rescan", "purge"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[JobState, ...] = get_args(JobState)
#: How often a job is begun: after that, it is what ends the processes that work on it.
MOST_BEGINNINGS = 5
_ENDED = ("done", "failed", "cancelled")
#: Errors about the asker's model and source; others, and those of the configuration, name the operator's machines.
_FOR_ASKERS = (errors.UsageError, errors.SourceError, errors.IntegrityError, errors.UnsafePath, errors.StateConflict)
_HIDDEN = {"problem": "The server could not do this.", "remedy": "Ask its operator: an admin's key sees the reason."}


@dataclass(frozen=True)
class JobOrder:
    """What somebody asks for.

    Attributes:
        kind: the kind of work.
        name: the model's name.
        request: plain JSON: `IngestRequest.to_json`; name and version of what is scanned again; name and versions of
            what is purged.
        asker: who asks, as the audit log names callers.
        key: the caller's own key for this order, so that sending it twice asks once; empty for none.
        declared: what the caller says of the model, such as a changelog; plain JSON.
        callback: where the end of the job is sent; None for nowhere.
    """

    kind: JobKind
    name: str
    request: Mapping[str, Any]
    asker: str
    key: str = ""
    declared: Mapping[str, Any] = field(default_factory=dict)
    callback: Destination | None = None


@dataclass(frozen=True)
class JobLimits:
    """How many jobs may wait at once.

    Attributes:
        most: in all.
        most_each: of one asker.
    """

    most: int
    most_each: int


@dataclass(frozen=True)
class JobEnd:
    """What a job came to.

    Attributes:
        state: `done` with a verdict, whichever it is, or when it is purged; `failed` where the work could not be done;
            `cancelled`.
        status: the version's status; PURGED; empty without either.
        version: the version's number; empty without one.
        reasons: those of the verdict.
        warnings: what the asker should know besides, a sentence each.
        problem: why the work could not be done; empty otherwise.
        remedy: what to do about it.
        error: the kind of that error.
        retryable: whether the same order may succeed later.
        freed: bytes of disk space that a purge freed.
    """

    state: Literal["done", "failed", "cancelled"]
    status: str = ""
    version: str = ""
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""
    remedy: str = ""
    error: str = ""
    retryable: bool = False
    freed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        reasons = [asdict(reason) for reason in self.reasons]
        return {**vars(self), "reasons": reasons, "warnings": list(self.warnings)}

    def failure(self, *, for_admin: bool) -> dict[str, Any] | None:
        """Return why the work could not be done; None where it could. What names the operator's machines is hidden."""
        if not self.error:
            return None
        kind = getattr(errors, self.error, errors.WeighbridgeError)
        is_askers = issubclass(kind, _FOR_ASKERS) and not issubclass(kind, errors.InvalidConfiguration)
        shown = {"problem": self.problem, "remedy": self.remedy} if is_askers or for_admin else _HIDDEN
        return {"type": errors.problem_type(kind), **shown, "retryable": self.retryable}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobEnd:
        """Read what `to_json` wrote."""
        reasons = tuple(Reason(**reason) for reason in value["reasons"])
        return cls(**{**value, "reasons": reasons, "warnings": tuple(value["warnings"])})


@dataclass(frozen=True)
class StoredJob:
    """An order in the catalog.

    Attributes:
        id: cannot be guessed.
        order: what was asked for.
        state: of `JobState`.
        beginnings: how often a process has begun it.
        cancel_wanted: whether somebody has asked to stop it.
        run_url: the page of the run that does it; empty for none.
        progress: the steps with what each has done; plain JSON.
        end: what it came to; None before.
        created_at: when it was asked for; UTC.
        updated_at: when any of this last changed; UTC.
        ended_at: when it ended; UTC.
    """

    id: str
    order: JobOrder
    state: JobState
    beginnings: int
    cancel_wanted: bool
    run_url: str
    progress: Mapping[str, Any]
    end: JobEnd | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in _ENDED

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        order = {name: value for name, value in vars(self.order).items() if name not in ("key", "callback")}
        times = {name: getattr(self, name) for name in ("created_at", "updated_at", "ended_at")}
        return {
            "id": self.id,
            **order,
            "callback": self.order.callback.origin if self.order.callback else None,
            "state": self.state,
            "beginnings": self.beginnings,
            "cancel_wanted": self.cancel_wanted,
            "run_url": self.run_url,
            "progress": self.progress,
            "end": self.end.to_json() if self.end else None,
            **{name: time.isoformat() if time else None for name, time in times.items()},
        }


_table = schema.jobs


def add(connection: Connection, order: JobOrder, now: datetime) -> tuple[StoredJob, bool]:
    """Store an order, and return its job and whether it is new: the same one again, by its key, is the first one's.

    Raises:
        KeyReused: the key belongs to another order of this asker.
    """
    id_ = secrets.token_hex(16)
    row = {
        "id": id_,
        "kind": order.kind,
        "name": order.name,
        "request": dict(order.request),
        "declared": dict(order.declared),
        "asker": order.asker,
        "key": order.key or None,
        **{f"callback_{name}": value for name, value in (vars(order.callback) if order.callback else {}).items()},
        "state": "queued",
        "beginnings": 0,
        "cancel_wanted": False,
        "run_url": "",
        "progress": {},
        "created_at": now,
        "updated_at": now,
    }
    statement = insert(connection, _table).values(row).on_conflict_do_nothing(index_elements=["asker", "key"])
    if connection.execute(statement.returning(_table.c.id)).first():
        return get(connection, id_), True
    earlier = sent(connection, order.asker, order.key)
    assert earlier is not None
    if earlier.order != order:
        raise KeyReused(
            "This idempotency key was sent before, with another request.",
            f"Choose a new key for a new request; the earlier one is {earlier.id}.",
            id=earlier.id,
        )
    return earlier, False


def sent(connection: Connection, asker: str, key: str) -> StoredJob | None:
    """Return the job that an asker has sent with a key, or None."""
    return _one(connection, (_table.c.asker == asker) & (_table.c.key == key))


def refuse_beyond(connection: Connection, asker: str, limits: JobLimits) -> None:
    """Refuse what is queued now where more jobs wait than may. Raises TooManyAtOnce."""
    of_asker = func.count(case((_table.c.asker == asker, 1)))
    waiting, own = connection.execute(select(func.count(), of_asker).where(_table.c.state == "queued")).one()
    if own > limits.most_each:
        full = f"{limits.most_each} jobs of yours"
    elif waiting > limits.most:
        full = f"{limits.most} jobs"
    else:
        return
    raise TooManyAtOnce(
        f"{full} wait already, and no more may.",
        "Wait until some of them have begun, or cancel some.",
        retry_after_s=30,
    )


def get(connection: Connection, id_: str) -> StoredJob:
    """Return a job. Raises NotInCatalog."""
    return _required(_one(connection, _table.c.id == id_), id_)


def is_waiting(connection: Connection, now: datetime) -> bool:
    """Return whether there is a job that a process may take."""
    return connection.execute(select(_table.c.id).where(_free(now)).limit(1)).first() is not None


def take(
    connection: Connection, owner: str, now: datetime, until: datetime
) -> tuple[StoredJob | None, list[StoredJob]]:
    """Give a process the oldest job that is free, if there is one; of two processes, each gets another one.

    A job that is to be cancelled, or that was begun too often, ends instead, and the next one is looked at. Returns the
    job that the process got, and those that ended.
    """
    ended: list[str] = []
    oldest = select(_table).where(_free(now)).order_by(_table.c.created_at, _table.c.id).limit(1)
    while row := connection.execute(oldest.with_for_update(skip_locked=True)).first():
        if row.cancel_wanted:
            _change(connection, row.id, now, _ending(JobEnd("cancelled"), now))
            ended.append(row.id)
        elif row.beginnings >= MOST_BEGINNINGS:
            problem = f"Each of the {row.beginnings} processes that worked on it ended before it did."
            remedy = "The server's log may say why, such as too little memory. Mend that, then send the order again."
            end = JobEnd("failed", problem=problem, remedy=remedy, error="UnexpectedError")
            _change(connection, row.id, now, _ending(end, now))
            ended.append(row.id)
        else:
            changes = {"state": "running", "owner": owner, "leased_until": until, "beginnings": row.beginnings + 1}
            _change(connection, row.id, now, changes)
            return get(connection, row.id), [get(connection, id_) for id_ in ended]
    return None, [get(connection, id_) for id_ in ended]


def renew(
    connection: Connection, id_: str, owner: str, until: datetime, now: datetime, changes: Mapping[str, Any]
) -> bool:
    """Extend a process's lease of a job and change columns; return False when the job is no longer that process's."""
    return _change(connection, id_, now, {**changes, "leased_until": until}, owner)


def is_wanted(connection: Connection, id_: str, owner: str) -> bool:
    """Return whether a job is still a process's, and nobody has asked to stop it."""
    mine = (_table.c.id == id_) & (_table.c.owner == owner) & (_table.c.state == "running")
    query = select(_table.c.id).where(mine & _table.c.cancel_wanted.is_(False))
    return connection.execute(query).first() is not None


def give_back(connection: Connection, id_: str, owner: str, now: datetime) -> bool:
    """Queue a process's job again, as if the process had not begun it; return whether it still was that process's."""
    changes = {**_without_owner("queued"), "beginnings": _table.c.beginnings - 1}
    return _change(connection, id_, now, changes, owner)


def end(connection: Connection, id_: str, owner: str, end: JobEnd, progress: Mapping[str, Any], now: datetime) -> bool:
    """Store what a process's job came to; return False, storing nothing, when it is no longer that process's."""
    return _change(connection, id_, now, {**_ending(end, now), "progress": dict(progress)}, owner)


def cancel(connection: Connection, id_: str, now: datetime) -> tuple[StoredJob, bool]:
    """Cancel a job: one that waits at once, one that runs as soon as its process reads it; return whether that is new.

    Raises:
        NotInCatalog: there is none.
        StateConflict: it has ended in another way.
    """
    row = connection.execute(select(_table).where(_table.c.id == id_).with_for_update()).first()
    job = _required(job_of(row) if row else None, id_)
    if job.state in ("done", "failed"):
        raise StateConflict(f"The job {id_} has ended already: it is {job.state}.", "It cannot be cancelled.", id=id_)
    if job.state == "queued":
        _change(connection, id_, now, {**_ending(JobEnd("cancelled"), now), "cancel_wanted": True})
    elif job.state == "running":
        _change(connection, id_, now, {"cancel_wanted": True})
    return get(connection, id_), job.state in ("queued", "running") and not job.cancel_wanted


def has_ended(connection: Connection, before: datetime) -> bool:
    """Return whether a job ended before a time, and its message is no longer on its way."""
    return connection.execute(select(_table.c.id).where(_over(before)).limit(1)).first() is not None


def forget(connection: Connection, ended_before: datetime) -> int:
    """Delete the jobs of which `has_ended` speaks, with their keys and messages, and return how many."""
    return connection.execute(_table.delete().where(_over(ended_before))).rowcount


def _over(before: datetime) -> ColumnElement[bool]:
    sent = webhook_tables.deliveries
    is_being_sent = exists().where(sent.c.job_id == _table.c.id, sent.c.state == "waiting")
    return (_table.c.ended_at < before) & ~is_being_sent


def _free(now: datetime) -> ColumnElement[bool]:
    return (_table.c.state == "queued") | ((_table.c.state == "running") & (_table.c.leased_until < now))


def _without_owner(state: JobState) -> dict[str, Any]:
    return {"state": state, "owner": None, "leased_until": None}


def _ending(end: JobEnd, now: datetime) -> dict[str, Any]:
    return {**_without_owner(end.state), "outcome": end.to_json(), "ended_at": now}


def _change(connection: Connection, id_: str, now: datetime, changes: Mapping[str, Any], owner: str = "") -> bool:
    """Change a job's columns; with an owner, only while the job is that process's. Return whether it was changed."""
    wanted = _table.c.id == id_
    if owner:
        wanted &= (_table.c.owner == owner) & (_table.c.state == "running")
    done = connection.execute(_table.update().where(wanted).values({"updated_at": now, **changes}))
    return bool(done.rowcount)


def _one(connection: Connection, wanted: ColumnElement[bool]) -> StoredJob | None:
    row = connection.execute(select(_table).where(wanted)).first()
    return job_of(row) if row else None


def _required(job: StoredJob | None, id_: str) -> StoredJob:
    if job is None:
        raise NotInCatalog(f"There is no job {id_}.", "Its id is in the answer that accepted it.", id=id_)
    return job


def job_of(row: Row[Any]) -> StoredJob:
    """Return the job of a row."""
    to = (row.callback_url, row.callback_signer, row.callback_key_id)
    callback = Destination(*to) if row.callback_url else None
    return StoredJob(
        id=row.id,
        order=JobOrder(row.kind, row.name, row.request, row.asker, row.key or "", row.declared, callback),
        state=row.state,
        beginnings=row.beginnings,
        cancel_wanted=row.cancel_wanted,
        run_url=row.run_url,
        progress=row.progress,
        end=JobEnd.from_json(row.outcome) if row.outcome else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
    )
