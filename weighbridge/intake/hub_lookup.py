"""Questions about models of the Hub: the local catalogue answers, at once and offline; the Hub itself where it must.

1. A search goes to the catalogue, or to the curated models of models.yaml.
2. The Hub is asked where the caller wants that, where the catalogue was never filled, and for a model that it lacks;
   what comes is remembered.
3. Where the Hub cannot be asked, the catalogue's answer counts, with a note that says so.

Not here: filling the catalogue (intake.hub_refresh), how the Hub is asked (intake.hub_questions), and whether the token
has access (intake.hub_access).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from weighbridge.catalog import Catalog
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.clock import utc_now
from weighbridge.domain.estimates.listing import listed_size
from weighbridge.domain.hub_models import HubEntry, HubModel, HubQuery, HubState
from weighbridge.domain.hub_queries import fits, ordered
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.hub import DEFAULT_ENDPOINT, HUGGINGFACE
from weighbridge.domain.text import shown
from weighbridge.errors import ModelNotFound, NotInCatalog, WeighbridgeError
from weighbridge.intake.hub_access import access_to
from weighbridge.intake.hub_answers import CATALOGUE, HUB, AnsweredBy, HubAnswer, HubDetails, HubFinding
from weighbridge.intake.hub_curated import Curated
from weighbridge.intake.hub_standing import standings

if TYPE_CHECKING:
    from weighbridge.intake.hub_questions import HubQuestions

#: Changes of one model that are shown, the newest ones.
_MOST_CHANGES = 50
#: Models of one part of a long search, and more than there are.
_PART, _MOST_OF_ALL = 500, 10**9
_EMPTY = "The catalogue of the Hub is empty: `weighbridge hub refresh` fills it."
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class HubLookup:
    """Answers questions about models of the Hub for one caller.

    Attributes:
        catalog: knows what is here.
        hub: the local catalogue of the Hub.
        endpoint: the Hub's base URL; empty for huggingface.co.
        curated: the models of models.yaml.
        questions: returns what asks the Hub itself; None where this caller may not have it asked.
        may_read: whether the caller may read a model of that name here.
        clock: returns the current time.
    """

    catalog: Catalog
    hub: HubCatalog
    endpoint: str = ""
    curated: Curated = field(default_factory=Curated)
    questions: Callable[[], HubQuestions] | None = None
    may_read: Callable[[str], bool] = lambda _: True
    clock: Callable[[], datetime] = utc_now

    def search(self, query: HubQuery, *, live: bool = False, curated: bool = False) -> HubAnswer:
        """Return the models that a query wants.

        Args:
            query: what is wanted.
            live: whether the Hub itself is asked, though the catalogue has an answer.
            curated: whether only models of models.yaml count; those that the catalogue lacks are asked for.

        Raises:
            UsageError: the cursor is of another search.
            CatalogError: the catalogue cannot be read.
        """
        state = self.hub.state()
        if curated:
            return self._curated(query, state, live=live)
        empty = state.as_of is None and not (state.running and state.models)
        note = ""
        if (live or empty) and not query.cursor:
            models, note = self._asked(lambda questions: questions.search(query))
            if models is not None:
                found = [model for model in models if fits(query, model)][: query.limit]
                return self._answer(self._remembered(found), "", HUB, "", state)
        page = self.hub.search(query)
        entries, answered_by = page.entries, CATALOGUE
        if not entries and not query.cursor and _may_be_id(query):
            models, failed = self._asked(_question(query.search))
            entries = tuple(self._remembered(model for model in models or () if fits(_nameless(query), model)))
            answered_by, note = (HUB if entries else CATALOGUE), note or failed
        return self._answer(entries, page.cursor, answered_by, note or (_note(state) if not entries else ""), state)

    def pages(
        self, query: HubQuery, *, live: bool = False, curated: bool = False, limit: int | None = None
    ) -> Iterator[HubAnswer]:
        """Yield the answers of one search, part by part, up to a limit of models; to the end without one.

        There is at least one. Raises as `search` does.
        """
        left = _MOST_OF_ALL if limit is None else limit
        while True:
            answer = self.search(replace(query, limit=min(left, _PART)), live=live, curated=curated)
            yield answer
            left -= len(answer.findings)
            if not answer.cursor or left <= 0:
                return
            query = replace(query, cursor=answer.cursor)

    def _curated(self, query: HubQuery, state: HubState, *, live: bool) -> HubAnswer:
        """Return those curated models that a query wants; of models that no catalogue has, the name alone is known."""
        known = {id_: self.hub.find(id_) for id_ in self.curated.ids}
        lacking = [id_ for id_, entry in known.items() if entry is None or live]
        note, answered_by = "", CATALOGUE
        for id_ in lacking:
            models, note = self._asked(_question(id_))
            if models is None:
                if not note:  # The Hub has no such model.
                    continue
                break
            known[id_], answered_by = self._remembered(models)[0], HUB
        now = self.clock()
        entries = {id_: entry or HubEntry(_named(id_), now) for id_, entry in known.items()}
        by_model = {entry.model: entry for entry in entries.values() if fits(query, entry.model)}
        chosen = [by_model[model] for model in ordered(query, by_model)]
        return self._answer(chosen[: query.limit], "", answered_by, note, state)

    def show(self, id_: str, *, live: bool = False) -> HubDetails:
        """Return all that is known of one model of the Hub.

        Args:
            id_: `organisation/name`, in any case of letters.
            live: whether the Hub itself is asked, though the catalogue has the model.

        Raises:
            NotInCatalog: neither the catalogue nor the Hub has it, or the Hub cannot be asked.
            CatalogError: the catalogue cannot be read.
        """
        if why := ModelRef(HUGGINGFACE.name, id_).mistake:
            raise NotInCatalog(f"There is no such model: {shown(why, 200)}.", "Write org/name.", name=shown(id_, 200))
        entry, note, answered_by = self.hub.find(id_), "", CATALOGUE
        if live or entry is None:
            models, note = self._asked(_question(id_))
            if models is not None:
                entry, answered_by = self._remembered(models)[0], HUB
            elif entry is None:
                raise self._unknown(id_, note)
            elif not note:
                note = "The Hub shows no such model any more." if self.questions else ""
        finding = self._findings([entry])[0]
        model = entry.model
        questions = self.questions() if self.questions is not None else None
        access, failed = access_to(model, finding.page, self.hub, questions, self.clock(), live=live)
        history = self.hub.changes(_ALWAYS, (), (model.id,), _MOST_CHANGES)
        state = self.hub.state()
        return HubDetails(finding, access, tuple(one for _, one in history), answered_by, note or failed, state)

    def _unknown(self, id_: str, note: str) -> NotInCatalog:
        asked = note or ("" if self.questions is None else "The Hub shows none, either.")
        remedy = (
            "Check its name." if not note else "Try again later, or refresh the catalogue: weighbridge hub refresh."
        )
        return NotInCatalog(f"The catalogue of the Hub has no model {id_}. {asked}".strip(), remedy, name=id_)

    def _asked(self, ask: Callable[[HubQuestions], list[HubModel]]) -> tuple[list[HubModel] | None, str]:
        """Return what the Hub answers; None where it has no such model, with a note where it cannot be asked."""
        if self.questions is None:
            return None, ""
        try:
            return ask(self.questions()), ""
        except ModelNotFound:
            return None, ""
        except WeighbridgeError as error:
            return None, self.questions().note_of(error)

    def _remembered(self, models: Iterable[HubModel]) -> list[HubEntry]:
        """Keep what the Hub has just said in the catalogue; return it as the catalogue has it now."""
        said, now = list(models), self.clock()
        if said:
            self.hub.remember(said, now)
        return [self.hub.find(model.id) or HubEntry(model, now) for model in said]

    def _answer(
        self, entries: Sequence[HubEntry], cursor: str, answered_by: AnsweredBy, note: str, state: HubState
    ) -> HubAnswer:
        return HubAnswer(tuple(self._findings(entries)), cursor, answered_by, note, state)

    def _findings(self, entries: Sequence[HubEntry]) -> list[HubFinding]:
        here = standings([entry.model for entry in entries], self.catalog, self.clock(), self.may_read)
        base = (self.endpoint or DEFAULT_ENDPOINT).rstrip("/")
        return [
            HubFinding(
                entry, here[entry.model.id], f"{base}/{entry.model.id}", entry.model.id.casefold() in self.curated
            )
            for entry in entries
        ]


def _question(id_: str) -> Callable[[HubQuestions], list[HubModel]]:
    return lambda questions: [questions.model(id_)]


def _note(state: HubState) -> str:
    """Return why a search may have found nothing."""
    if state.as_of is not None:
        return ""
    if state.running is not None and state.models:
        return (
            f"The catalogue of the Hub is not whole yet: its first refresh has brought {state.models:,} models so far."
        )
    return _EMPTY


def _may_be_id(query: HubQuery) -> bool:
    return "/" in query.search and not ModelRef(HUGGINGFACE.name, query.search).mistake


def _nameless(query: HubQuery) -> HubQuery:
    """Return a query without its words: a model that was renamed is found by its former name."""
    return replace(query, search="")


def _named(id_: str) -> HubModel:
    """Return a model of which nothing but the name is known."""
    size = listed_size(id_, None, None, None)
    return HubModel(
        id_,
        parameters=size.parameters,
        parameters_from=size.parameters_from,
        weights_size=size.weights_size,
        memory_size=size.memory_size,
    )
