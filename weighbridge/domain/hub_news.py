"""News of models on the Hub: changes of those that are watched, and the digest of a refresh.

A model is watched that is in the catalog, that models.yaml names, or that a subscription's pattern names together with
its organisation. Not here: every other change, which is in the history only (catalog.hub_models).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from weighbridge.domain.audit import AuditRow
from weighbridge.domain.hub_models import Gated, HubChange, HubField, HubPass

#: What is news of a model; downloads are not.
NEWS_FIELDS = (HubField.GATED, HubField.LICENCE, HubField.OWNER, HubField.DISABLED, HubField.LISTED)
#: The action of an audit row, and the kind of event, of a change of a watched model, and of the end of a refresh.
MODEL_CHANGED, REFRESHED = "hub.model.changed", "hub.refreshed"
HUB_EVENTS = (MODEL_CHANGED, REFRESHED)
#: Changes that a digest shows, of those that it counts.
FIRST = 20
_WILD = frozenset("*?[")
_SENTENCES: Mapping[HubField, Mapping[str, str]] = {
    HubField.DISABLED: {"yes": "was closed by the Hub", "no": "is open again on the Hub"},
    HubField.LISTED: {"yes": "is on the Hub again", "no": "has vanished from the Hub"},
}


@dataclass(frozen=True)
class WatchedChange:
    """A change of a model that this organisation watches.

    Attributes:
        number: of the change in the history.
        change: the change.
        names: of the models in the catalog that came from it.
        curated: whether models.yaml names it.
    """

    number: int
    change: HubChange
    names: tuple[str, ...] = ()
    curated: bool = False

    @property
    def sentence(self) -> str:
        """The change in words."""
        return sentence(self.change)


def sentence(change: HubChange) -> str:
    """Return a change in words, a sentence."""
    before, after = change.before, change.after
    if change.field is HubField.GATED:
        words = f"is {_meaning(after)} on the Hub, and was {_meaning(before)}"
    elif change.field is HubField.LICENCE:
        words = f"has the licence {after or 'none'} on the Hub, and had {before or 'none'}"
    elif change.field is HubField.OWNER:
        words = f"was {before}: it has another owner or name on the Hub"
    else:
        words = _SENTENCES.get(change.field, {}).get(after, f"has {change.field} {after}, and had {before}")
    return f"{change.id} {words}."


def _meaning(gated: str) -> str:
    try:
        return f"gated ({Gated(gated).meaning})" if gated != Gated.NO else "public"
    except ValueError:
        return gated


def names_of(change: HubChange) -> tuple[str, ...]:
    """Return the names under which a model may be known: its own and, of one that was renamed, the former."""
    return (change.id, change.before) if change.field is HubField.OWNER else (change.id,)


def names_organisation(pattern: str) -> bool:
    """Return whether a pattern of names spells the organisation out, so that it widens what is watched."""
    owner, slash, _ = pattern.partition("/")
    return bool(owner and slash) and not _WILD & set(owner)


@dataclass(frozen=True)
class RefreshDigest:
    """What a refresh of the Hub's catalogue noticed.

    Attributes:
        ended: the refresh.
        counts: of the news, by field.
        newly_gated: models that were public before.
        first: the first news.
    """

    ended: HubPass
    counts: Mapping[str, int] = field(default_factory=dict)
    newly_gated: int = 0
    first: tuple[HubChange, ...] = ()

    @classmethod
    def of(cls, ended: HubPass, changes: Iterable[HubChange]) -> RefreshDigest:
        """Return the digest of a refresh, of the changes that were noticed since it began."""
        counts, gated = Counter({str(one): 0 for one in NEWS_FIELDS}), 0
        first: list[HubChange] = []
        for change in changes:
            counts[str(change.field)] += 1
            gated += is_newly_gated(change)
            if len(first) < FIRST:
                first.append(change)
        return cls(ended, dict(counts), gated, tuple(first))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        ended = self.ended
        return {
            "pass": ended.number,
            "kind": str(ended.kind),
            "selection": ended.selection,
            "begun_at": ended.begun_at.isoformat(),
            "ended_at": ended.ended_at.isoformat() if ended.ended_at else None,
            **{name: getattr(ended, name) for name in ("models", "added", "changed", "vanished")},
            "counts": dict(self.counts),
            "newly_gated": self.newly_gated,
            "first": [change_json(change) for change in self.first],
        }


def is_newly_gated(change: HubChange) -> bool:
    """Return whether a change makes a public model one that the Hub gives out on conditions only."""
    return change.field is HubField.GATED and change.before == Gated.NO and change.after != Gated.UNKNOWN


def change_json(change: HubChange) -> dict[str, Any]:
    """Return a change as plain JSON types."""
    return {
        "id": change.id,
        "field": str(change.field),
        "before": change.before,
        "after": change.after,
        "at": change.at.isoformat(),
    }


def change_of(row: AuditRow) -> HubChange:
    """Return the change of a watched model that a row of the audit log is about."""
    after: Mapping[str, Any] = row.after or {}
    name = HubField(after["field"])
    before = str((row.before or {}).get(name, ""))
    return HubChange(row.object, name, before, str(after[name]), datetime.fromisoformat(after["noticed_at"]))


def digest_text(digest: Mapping[str, Any]) -> str:
    """Return a digest in words, one line, from what `RefreshDigest.to_json` returned."""
    words = {"licence": "changed their licence", "owner": "changed their owner", "listed": "vanished or came back"}
    counts = digest["counts"]
    more = [f"{counts[name]:,} {text}" for name, text in words.items() if counts.get(name)]
    gated = [f"{digest['newly_gated']:,} became gated"] if digest["newly_gated"] else []
    told = f" Of all models, {', '.join([*gated, *more])}." if gated or more else ""
    return (
        f"{digest['models']:,} models listed ({digest['kind']}): {digest['added']:,} new, "
        f"{digest['changed']:,} changed, {digest['vanished']:,} vanished.{told}"
    )
