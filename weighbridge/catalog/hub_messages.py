"""Messages about models on the Hub: which subscriptions each is for, and what it says to each.

A subscription hears of a model under the names that its owner may know, on the Hub and here; the digest of a refresh
names no model of the catalog, and is for each subscription that wants it. Not here: which changes become messages
(catalog.hub_announcements).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Row

from weighbridge.domain.audit import AuditRow
from weighbridge.domain.hub_models import HubField
from weighbridge.domain.hub_news import MODEL_CHANGED
from weighbridge.domain.name_patterns import matches_any

#: The address of a model's page for a message: `{}` is its name.
PAGE = "https://huggingface.co/{}"


def addressed(
    row: AuditRow, subscriptions: Iterable[Row[Any]], may_know: Callable[[Row[Any], str], bool]
) -> list[tuple[dict[str, Any], list[Row[Any]]]]:
    """Return what is said of a change, with the subscriptions to which it is said: some may know more than others.

    Args:
        row: the change, as the audit log has it.
        subscriptions: to its kind of event.
        may_know: whether the owner of a subscription may know of a model's name; of an empty one, of models at all.
    """
    by_names: dict[tuple[str, ...], list[Row[Any]]] = {}
    for one in subscriptions:
        names = _known_names(row, one, may_know)
        if names is not None:
            by_names.setdefault(names, []).append(one)
    return [(_data(row, names), to) for names, to in by_names.items()]


def _known_names(
    row: AuditRow, subscription: Row[Any], may_know: Callable[[Row[Any], str], bool]
) -> tuple[str, ...] | None:
    """Return the catalog's names that a message to a subscription has; None where the change does not concern it."""
    if row.action != MODEL_CHANGED:
        return () if may_know(subscription, "") else None
    after = dict(row.after or {})
    own = tuple(after["models"])
    known = [name for name in (*_hub_names(row), *own) if may_know(subscription, name)]
    watched = bool(own) or after["curated"]  # Else it is the pattern of a subscription that watches it.
    concerned = any(matches_any(name, subscription.models) for name in known)
    if not concerned or not (watched or subscription.models):
        return None
    return tuple(name for name in own if name in known)


def _hub_names(row: AuditRow) -> tuple[str, ...]:
    former = (row.before or {}).get(HubField.OWNER)
    return (row.object, former) if former else (row.object,)


def _data(row: AuditRow, names: tuple[str, ...]) -> dict[str, Any]:
    after: Mapping[str, Any] = row.after or {}
    if row.action != MODEL_CHANGED:
        return {name: value for name, value in after.items() if name != "catalogue"}
    name = after["field"]
    return {
        "hub_model": row.object,
        "field": name,
        "before": (row.before or {}).get(name, ""),
        "after": after[name],
        "noticed_at": after["noticed_at"],
        "page": PAGE.format(row.object),
        "models": list(names),
    }
