"""What the Hub's list of all models says of one: the values that refresh, catalogue, search and every door share.

Not here: reading the Hub's JSON, which is net.hub's; the tables, which are the catalog's; estimates of size
(domain.estimates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Gated(StrEnum):
    """Whether the Hub asks for something before it gives a model's files out."""

    NO = "no"
    AUTO = "auto"
    MANUAL = "manual"
    YES = "yes"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, value: Any) -> Gated:
        """Return the meaning of the Hub's `gated`: false, "auto", "manual" or true; anything else is unknown."""
        if value is False:
            return cls.NO
        if value is True:
            return cls.YES
        return {"auto": cls.AUTO, "manual": cls.MANUAL}.get(value if isinstance(value, str) else "", cls.UNKNOWN)

    @property
    def suffix(self) -> str:
        """The mark behind a model's line, empty for a public one."""
        return _SUFFIXES[self]

    @property
    def meaning(self) -> str:
        """What it means for a person who wants the files."""
        return _MEANINGS[self]


_SUFFIXES = {
    Gated.NO: "",
    Gated.AUTO: "[Terms]",
    Gated.MANUAL: "[Approval]",
    Gated.YES: "[Restricted]",
    Gated.UNKNOWN: "[Unknown]",
}
_MEANINGS = {
    Gated.NO: "Public",
    Gated.AUTO: "Terms Required",
    Gated.MANUAL: "Approval Required",
    Gated.YES: "Restricted",
    Gated.UNKNOWN: "Unknown",
}


@dataclass(frozen=True, slots=True)
class HubModel:
    """One model as the Hub lists it. What the Hub did not say, or said in a form that makes no sense, is None or empty.

    Attributes:
        id: `organisation/name`, or `name` alone for the oldest models.
        object_id: the Hub's own `_id`, which stays when a model is renamed.
        sha: the commit of its default branch.
        gated: whether its files are given to everybody.
        disabled: whether the Hub has closed the repository.
        created_at: in UTC.
        last_modified: in UTC.
        downloads: in the last 30 days.
        downloads_all_time: since it exists.
        likes: of people.
        trending_score: as the Hub computes it.
        library: the Hub's `library_name`: transformers, diffusers, gguf.
        pipeline_tag: its task: text-generation.
        licence: of the tag `license:…`, in the Hub's words: apache-2.0, llama3.1, other.
        base_models: of the tags `base_model:…`, without the relation.
        tags: all tags, in the Hub's order.
        parameters: how many weights it has.
        parameters_from: what said so: safetensors, gguf, config or name.
        weights_size: bytes of weights, where they can be told.
        memory_size: bytes of GPU memory that it is estimated to need.
    """

    id: str
    object_id: str = ""
    sha: str = ""
    gated: Gated = Gated.UNKNOWN
    disabled: bool = False
    created_at: datetime | None = None
    last_modified: datetime | None = None
    downloads: int | None = None
    downloads_all_time: int | None = None
    likes: int | None = None
    trending_score: float | None = None
    library: str = ""
    pipeline_tag: str = ""
    licence: str = ""
    base_models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    parameters: int | None = None
    parameters_from: str = ""
    weights_size: int | None = None
    memory_size: int | None = None

    @property
    def author(self) -> str:
        """The user or organisation that it belongs to, or empty."""
        return self.id.rpartition("/")[0]


#: How tags begin that name something else: a model, a dataset, a paper. Nearly each is another one.
NAMING_TAGS = ("base_model:", "dataset:", "arxiv:", "doi:")


def base_models_of(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the base models that tags name, each once: those of `base_model:…`, with and without the relation."""
    named = dict.fromkeys([tag.rpartition(":")[2] for tag in tags if tag.startswith("base_model:")])
    return tuple([name for name in named if name])


def licence_of(tags: Sequence[str]) -> str:
    """Return the licence that the first tag `license:…` names, or an empty text."""
    return next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")


@dataclass(frozen=True, slots=True)
class HubEntry:
    """A model in the local catalogue of the Hub.

    Attributes:
        model: what the Hub said when it was listed last.
        seen_at: when that was, in UTC.
        vanished_at: when a full refresh no longer found it; None while the Hub lists it.
    """

    model: HubModel
    seen_at: datetime
    vanished_at: datetime | None = None


class HubField(StrEnum):
    """What of a model has a history."""

    GATED = "gated"
    LICENCE = "licence"
    OWNER = "owner"
    DOWNLOADS = "downloads"
    DISABLED = "disabled"
    LISTED = "listed"


@dataclass(frozen=True, slots=True)
class HubChange:
    """A change of one model between two refreshes.

    Attributes:
        id: the model's name now.
        field: what changed.
        before: the value before, as text.
        after: the value now, as text.
        at: when the refresh noticed it, in UTC.
    """

    id: str
    field: HubField
    before: str
    after: str
    at: datetime


@dataclass(frozen=True)
class HubQuery:
    """Which models a search wants.

    Attributes:
        search: words and parts of words, all of which the name or a tag has; empty for all. Of tags that name
            other repositories or papers (`NAMING_TAGS`), and for words of one or two letters, whole tags count alone.
        filters: tags that it must have, as the Hub's own `filter`: text-generation, gguf, license:mit, region:us.
        author: its user or organisation.
        library: its library.
        licence: its licence.
        gated: the gated states that are wanted; all where empty.
        min_parameters: at least so many weights.
        max_parameters: at most so many weights.
        max_memory_size: at most so many bytes of GPU memory; models without an estimate do not match.
        include_vanished: whether models count that the Hub no longer lists.
        sort: one of `HUB_ORDERS`.
        descending: the order's direction.
        limit: the most models of one page.
        cursor: where the page before ended, as its `HubPage` says; empty for the first.
    """

    search: str = ""
    filters: tuple[str, ...] = ()
    author: str = ""
    library: str = ""
    licence: str = ""
    gated: tuple[Gated, ...] = ()
    min_parameters: int | None = None
    max_parameters: int | None = None
    max_memory_size: int | None = None
    include_vanished: bool = False
    sort: str = "downloads"
    descending: bool = True
    limit: int = 20
    cursor: str = ""


#: The orders of a search, in the Hub's words.
HUB_ORDERS = ("downloads", "likes", "trendingScore", "createdAt", "lastModified", "parameters", "memory", "id")


@dataclass(frozen=True, slots=True)
class HubPage:
    """Some of the models that a search found.

    Attributes:
        entries: in the order that was wanted.
        cursor: what asks for the next page; empty at the end.
    """

    entries: tuple[HubEntry, ...]
    cursor: str


class PassKind(StrEnum):
    """What a refresh goes through."""

    FULL = "full"
    RECENT = "recent"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class HubPass:
    """One refresh of the catalogue, from its first page to its end.

    Attributes:
        number: counts the passes.
        kind: what it goes through.
        selection: what limits a partial one: the filter and the most models, as text; empty otherwise.
        begun_at: in UTC.
        ended_at: in UTC; None while it runs, or waits to be resumed.
        cursor: the address of the next page as the Hub gave it; empty before the first and after the last.
        last_created_at: of the last model listed, by which a refused cursor is replaced.
        pages: pages taken so far.
        models: models listed so far, repeats included.
        added: models that were new.
        changed: models of which something with a history changed.
        vanished: models that the end of a full pass marked.
    """

    number: int
    kind: PassKind
    selection: str
    begun_at: datetime
    ended_at: datetime | None = None
    cursor: str = ""
    last_created_at: datetime | None = None
    pages: int = 0
    models: int = 0
    added: int = 0
    changed: int = 0
    vanished: int = 0


@dataclass(frozen=True, slots=True)
class HubState:
    """What the local catalogue of the Hub holds, and how old it is.

    Attributes:
        models: that the Hub still lists, as far as is known.
        vanished: that it lists no more.
        full: the last full pass that came to its end.
        recent: the last pass over recent changes that did.
        partial: the last partial one that did.
        running: the pass that is not at its end.
        size: bytes on disk.
    """

    models: int
    vanished: int
    full: HubPass | None = None
    recent: HubPass | None = None
    partial: HubPass | None = None
    running: HubPass | None = None
    size: int | None = None

    @property
    def as_of(self) -> datetime | None:
        """When the newest finished pass began: what the Hub said since then may be missing."""
        begun = [known.begun_at for known in (self.full, self.recent, self.partial) if known is not None]
        return max(begun, default=None)
