"""Whether one model fits a query, and where it comes in its order: for models that are not searched in the catalogue.

Not here: searching the catalogue, which does the same over all models in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from weighbridge.domain.hub_models import Gated, HubModel, HubQuery

#: What a person may write for the gated states that are wanted. `yes` is every kind of gate, as for the Hub itself.
GATED_WORDS: dict[str, tuple[Gated, ...]] = {
    "no": (Gated.NO,),
    "yes": (Gated.AUTO, Gated.MANUAL, Gated.YES),
    "auto": (Gated.AUTO,),
    "manual": (Gated.MANUAL,),
    "restricted": (Gated.YES,),
    "unknown": (Gated.UNKNOWN,),
    "false": (Gated.NO,),
    "true": (Gated.AUTO, Gated.MANUAL, Gated.YES),
}


def gated_states(words: Iterable[str]) -> tuple[Gated, ...]:
    """Return the gated states that words of `GATED_WORDS` mean, each once."""
    return tuple(dict.fromkeys(state for word in words for state in GATED_WORDS[word]))


def fits(query: HubQuery, model: HubModel) -> bool:
    """Return whether a model is one that a query wants, by everything but its cursor."""
    searched = " ".join((model.id, *model.tags)).casefold()
    tags = {tag.casefold() for tag in (*model.tags, model.pipeline_tag, model.library, f"license:{model.licence}")}
    wanted = (
        all(word in searched for word in query.search.casefold().split()),
        all(tag.casefold() in tags for tag in query.filters),
        _is(query.author, model.author),
        _is(query.library, model.library),
        _is(query.licence, model.licence),
        not query.gated or model.gated in query.gated,
    )
    return all(wanted) and is_within(query, model)


def ordered(query: HubQuery, models: Iterable[HubModel]) -> Sequence[HubModel]:
    """Return models in a query's order; what does not have the value comes last in either direction."""
    found = sorted(models, key=lambda model: model.id)
    valued = [model for model in found if _value(query.sort, model) is not None]
    others = [model for model in found if _value(query.sort, model) is None]
    return [*sorted(valued, key=lambda model: _value(query.sort, model), reverse=query.descending), *others]


def _is(wanted: str, value: str) -> bool:
    return not wanted or wanted.casefold() == value.casefold()


def is_within(query: HubQuery, model: HubModel) -> bool:
    """Return whether a model is within the bounds of a query; an unknown number is outside of any bound on it."""
    parameters, memory = model.parameters, model.memory_size
    return (
        (query.min_parameters is None or (parameters is not None and parameters >= query.min_parameters))
        and (query.max_parameters is None or (parameters is not None and parameters <= query.max_parameters))
        and (query.max_memory_size is None or (memory is not None and memory <= query.max_memory_size))
    )


def _value(sort: str, model: HubModel) -> Any:
    values = {
        "downloads": model.downloads,
        "likes": model.likes,
        "trendingScore": model.trending_score,
        "createdAt": model.created_at,
        "lastModified": model.last_modified,
        "parameters": model.parameters,
        "memory": model.memory_size,
        "id": model.id,
    }
    return values[sort]
