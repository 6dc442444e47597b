"""Recalls as events of Prefect, `weighbridge.version.recalled`, each sent once: automations act on them.

The catalog keeps up to which row of the audit log they were sent, so that a run tells of what a command, the served
registry or a killed run recalled as well. Not here: the tags and events of runs (announcements).
"""

from __future__ import annotations

from uuid import UUID, uuid5

from prefect.events import Event

from flows.announcements import event, send
from flows.artifact_report import outcome_stands
from weighbridge.catalog import Catalog
from weighbridge.domain.audit import RECALLED, AuditRow

#: Whose watermark it is, and of what.
_READER, _SOURCE = "prefect", "recalls"
_IDS = UUID("5d2d2b5e-6a49-4f0e-9f52-6e2f5c1b9b34")
_AT_ONCE = 100


def tell_recalls(catalog: Catalog) -> None:
    """Send the recalls that were not sent yet, even if the server refuses them: then the next run does."""
    with outcome_stands("recalls"):
        told = catalog.hub_announcements.told(_READER, _SOURCE)
        while rows := catalog.audit.rows(after=told, limit=_AT_ONCE, action=RECALLED):
            send(_event(row) for row in rows)
            told = rows[-1].number
            catalog.hub_announcements.note_told(_READER, _SOURCE, told)


def _event(row: AuditRow) -> Event:
    model, _, version = row.object.partition("@")
    after = dict(row.after or {})
    default = (
        f"The default version is {after['default']} now." if after.get("default") else "It has no default version."
    )
    payload = {
        **after,
        "model": model,
        "version": version,
        "message": f"{row.object} had passed, and is {after.get('status')} under {after.get('policy')}. {default} now. "
        f"`weighbridge recall show {row.object}` says who has it.",
    }
    return event("weighbridge.version.recalled", f"weighbridge.model.{model}", payload, uuid5(_IDS, row.hash))
