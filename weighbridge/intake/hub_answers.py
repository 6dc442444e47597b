"""Answers to questions about models of the Hub, and the JSON that every door gives of them.

Not here: finding them (intake.hub_lookup).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from weighbridge.domain.estimates.evidence import Evidence
from weighbridge.domain.estimates.requirements import Requirements, estimate
from weighbridge.domain.estimates.shown import memory_text
from weighbridge.domain.hub_labels import label, parameters_text_of
from weighbridge.domain.hub_models import Gated, HubChange, HubEntry, HubPass, HubState
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.hub import HUGGINGFACE
from weighbridge.intake.hub_access import Access
from weighbridge.intake.hub_standing import Here

#: Who has answered: the local catalogue, or the Hub itself.
AnsweredBy = Literal["catalogue", "hub"]
CATALOGUE: AnsweredBy = "catalogue"
HUB: AnsweredBy = "hub"
#: `gated` in the Hub's own words.
_GATED: dict[Gated, bool | str | None] = {
    Gated.NO: False,
    Gated.AUTO: "auto",
    Gated.MANUAL: "manual",
    Gated.YES: True,
    Gated.UNKNOWN: None,
}


@dataclass(frozen=True)
class HubFinding:
    """A model of the Hub that an answer has.

    Attributes:
        entry: as the catalogue has it.
        here: whether it is here.
        page: the address of its page for people.
        curated: whether models.yaml names it.
    """

    entry: HubEntry
    here: Here
    page: str
    curated: bool = False

    @property
    def uri(self) -> str:
        """The URI that takes it in: `hf:org/name`."""
        return ModelRef(HUGGINGFACE.name, self.entry.model.id).uri

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types: fields of the Hub's under its own names, and ours beside them."""
        model = self.entry.model
        return {
            "id": model.id,
            "author": model.author,
            "label": label(model),
            "gated": _GATED[model.gated],
            "gated_meaning": model.gated.meaning,
            "page": self.page,
            "disabled": model.disabled,
            "pipeline_tag": model.pipeline_tag or None,
            "library_name": model.library or None,
            "license": model.licence or None,
            "tags": list(model.tags),
            "base_models": list(model.base_models),
            "downloads": model.downloads,
            "downloadsAllTime": model.downloads_all_time,
            "likes": model.likes,
            "trendingScore": model.trending_score,
            "createdAt": moment_json(model.created_at),
            "lastModified": moment_json(model.last_modified),
            "sha": model.sha or None,
            "parameters": model.parameters,
            "parameters_from": model.parameters_from or None,
            "weights_size": model.weights_size,
            "memory_size": model.memory_size,
            "params": parameters_text_of(model),
            "vram": memory_text(model.memory_size) if model.memory_size else "",
            "curated": self.curated,
            "seen_at": moment_json(self.entry.seen_at),
            "vanished_at": moment_json(self.entry.vanished_at),
            "here": self.here.to_json(),
        }


@dataclass(frozen=True)
class HubAnswer:
    """Models that a search found.

    Attributes:
        findings: in the order that was wanted.
        cursor: what asks for the next ones; empty at the end.
        answered_by: the catalogue, or the Hub itself.
        note: what the caller should know of the answer, a sentence; or empty.
        state: of the catalogue.
    """

    findings: tuple[HubFinding, ...]
    cursor: str
    answered_by: AnsweredBy
    note: str
    state: HubState

    def catalogue_json(self) -> dict[str, Any]:
        """Return what the answer rests on, as plain JSON types."""
        return catalogue_json(self.answered_by, self.note, self.state)


@dataclass(frozen=True)
class HubDetails:
    """All that is known of one model of the Hub.

    Attributes:
        finding: the model.
        access: whether the token has access.
        history: what changed, the oldest first.
        answered_by: the catalogue, or the Hub itself.
        note: what the caller should know of the answer, a sentence; or empty.
        state: of the catalogue.
    """

    finding: HubFinding
    access: Access
    history: tuple[HubChange, ...]
    answered_by: AnsweredBy
    note: str
    state: HubState

    @property
    def requirements(self) -> Requirements:
        """What it needs in memory, in parts, as far as the Hub's list says enough."""
        model = self.finding.entry.model
        total = {"total": model.parameters}
        safetensors = total if model.parameters_from == "safetensors" else None
        gguf = total if model.parameters_from == "gguf" else None
        return estimate(Evidence(model.id, safetensors=safetensors, gguf=gguf, tags=model.tags))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        model = self.finding.entry.model
        return {
            **self.finding.to_json(),
            "access": self.access.to_json(),
            "import": {"uri": self.finding.uri},
            "estimate": {
                **self.requirements.to_json(),
                "parameters": model.parameters,
                "parameters_from": model.parameters_from or None,
                "weights_size": model.weights_size,
                "memory_size": model.memory_size,
            },
            "history": [
                {"field": str(one.field), "before": one.before, "after": one.after, "at": moment_json(one.at)}
                for one in self.history
            ],
            "catalogue": catalogue_json(self.answered_by, self.note, self.state),
        }


def change_json(change: HubChange) -> dict[str, Any]:
    """Return a change of a model as plain JSON types."""
    return {
        "id": change.id,
        "field": str(change.field),
        "before": change.before,
        "after": change.after,
        "at": moment_json(change.at),
    }


def catalogue_json(answered_by: AnsweredBy, note: str, state: HubState) -> dict[str, Any]:
    """Return what an answer rests on, as plain JSON types."""
    return {"answered_by": answered_by, "as_of": moment_json(state.as_of), "models": state.models, "note": note}


def state_json(state: HubState) -> dict[str, Any]:
    """Return what the catalogue holds, as plain JSON types."""
    passes = {"full": state.full, "recent": state.recent, "partial": state.partial, "running": state.running}
    return {
        "models": state.models,
        "vanished": state.vanished,
        "as_of": moment_json(state.as_of),
        "size": state.size,
        **{name: pass_json(one) if one else None for name, one in passes.items()},
    }


def pass_json(one: HubPass) -> dict[str, Any]:
    """Return a refresh as plain JSON types."""
    return {
        "number": one.number,
        "kind": str(one.kind),
        "selection": one.selection,
        "begun_at": moment_json(one.begun_at),
        "ended_at": moment_json(one.ended_at),
        **{name: getattr(one, name) for name in ("pages", "models", "added", "changed", "vanished")},
    }


def moment_json(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601, or None."""
    return moment.isoformat() if moment is not None else None
