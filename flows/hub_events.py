"""The news of the Hub as events of Prefect, each sent once: automations act on them.

An event has the id that its row of the audit log gives it, and the catalog keeps up to which row they were sent: what a
killed run did not send, the next one sends, and what it sends again the server knows. Not here: what is news
(weighbridge.intake.hub_news), and the tags and events of runs (announcements).
"""

from __future__ import annotations

from uuid import UUID, uuid5

from prefect.events import Event

from flows.announcements import event, send
from flows.artifact_report import outcome_stands
from weighbridge.catalog import Catalog
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.hub_models import HubField
from weighbridge.domain.hub_news import MODEL_CHANGED, REFRESHED, change_of, digest_text, sentence

#: Whose watermark it is, and of what.
_READER, _SOURCE = "prefect", "audit"
_IDS = UUID("0b1f7f3e-5c0e-4a57-9d3c-6f3b7f0f8a11")
_AT_ONCE = 100


def tell_news(catalog: Catalog) -> None:
    """Send the news that were not sent yet, even if the server refuses them: then the next run does."""
    with outcome_stands("news of the Hub"):
        after, until = catalog.hub_announcements.told(_READER, _SOURCE), catalog.audit.head().number
        for action in (MODEL_CHANGED, REFRESHED):
            _send_all(catalog, action, after, until)
        catalog.hub_announcements.note_told(_READER, _SOURCE, until)


def _send_all(catalog: Catalog, action: str, after: int, until: int) -> None:
    while rows := catalog.audit.rows(after=after, limit=_AT_ONCE, action=action):
        send(_event(row) for row in rows if row.number <= until)
        after = rows[-1].number


def _event(row: AuditRow) -> Event:
    after = dict(row.after or {})
    id_ = uuid5(_IDS, row.hash)
    if row.action == REFRESHED:
        payload = {**after, "model": "", "message": digest_text(after)}
        return event("weighbridge.hub.refreshed", "weighbridge.hub.catalogue", payload, id_)
    change = change_of(row)
    word = (
        {"no": "vanished", "yes": "returned"}.get(change.after, "listed")
        if change.field is HubField.LISTED
        else change.field
    )
    payload = {
        "model": change.id,
        "message": sentence(change),
        "field": str(change.field),
        "before": change.before,
        "after": change.after,
        "models": after["models"],
    }
    return event(f"weighbridge.hub.model.{word}", f"weighbridge.hub.model.{change.id}", payload, id_)
