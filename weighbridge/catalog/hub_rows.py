"""Models as rows, and rows as models: what the Hub says, in the columns of `hub_models` and `hub_figures`.

Not here: comparing and storing them (catalog.hub_pages).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection

from weighbridge.catalog.hub_strings import MOST_CHARACTERS, StringTable, bounded, numbers
from weighbridge.catalog.hub_tables import moment, stamp
from weighbridge.domain.hub_models import Gated, HubEntry, HubModel, base_models_of

GATED = tuple(Gated)
_PLACES: dict[Gated, int] = {state: place for place, state in enumerate(GATED) if state is not Gated.UNKNOWN}
#: Lengths of the Hub's hexadecimal texts: of `_id` and of commits.
_HEX = (24, 40)
_OTHER = b"\xff"


class Wide(NamedTuple):
    """A row of `hub_models`, without its number."""

    id: str
    object_id: bytes
    sha: bytes
    tags: str
    weights_size: int | None
    extra: str | None


class Narrow(NamedTuple):
    """A row of `hub_figures`, without its number."""

    gated: int | None
    disabled: int
    created_at: int | None
    last_modified: int | None
    downloads: int | None
    downloads_all_time: int | None
    downloads_noted: int | None
    likes: int | None
    trending_score: float | None
    library: int | None
    pipeline_tag: int | None
    licence: int | None
    parameters_from: int | None
    parameters: int | None
    memory_size: int | None
    seen_at: int
    vanished_at: int | None


COLUMNS = ", ".join(("m.number", *(f"m.{name}" for name in Wide._fields), *(f"f.{name}" for name in Narrow._fields)))
_WIDE_END = 1 + len(Wide._fields)


class StoredRow(NamedTuple):
    """Both rows of a model, and their number."""

    number: int
    wide: Wide
    narrow: Narrow


def stored(row: Sequence[Any]) -> StoredRow:
    """Return a row of a query of `COLUMNS`."""
    return StoredRow(row[0], Wide(*row[1:_WIDE_END]), Narrow(*row[_WIDE_END : _WIDE_END + len(Narrow._fields)]))


def texts_of(model: HubModel) -> tuple[str, ...]:
    """Return the texts of a model that are stored as numbers; some may be empty."""
    return (*model.tags, model.library, model.pipeline_tag, model.licence, model.parameters_from)


def storable_model(model: HubModel) -> HubModel:
    """Return a model whose texts can be stored and indexed: as a rule, itself, after one look at all of them."""
    texts = (*texts_of(model), model.id, model.object_id, model.sha, *model.base_models)
    joined = "".join(texts)
    short = len(joined) <= MOST_CHARACTERS or max(map(len, texts)) <= MOST_CHARACTERS
    if short and joined.isascii() and "\0" not in joined and "" not in model.tags:
        return model
    singles = ("id", "object_id", "sha", "library", "pipeline_tag", "licence", "parameters_from")
    values: dict[str, Any] = {name: bounded(getattr(model, name)) for name in singles}
    return replace(
        model,
        **values,
        tags=tuple(bounded(tag) for tag in model.tags if tag),
        base_models=tuple(bounded(name) for name in model.base_models),
    )


def encoded(model: HubModel, known: Mapping[str, int], signs: Mapping[str, str], at: int) -> tuple[Wide, Narrow]:
    """Return a model as its rows, with the numbers of its texts, and the characters of those."""
    wide = Wide(
        model.id,
        packed(model.object_id),
        packed(model.sha),
        "".join([signs[tag] for tag in model.tags]),
        model.weights_size,
        _extra(model),
    )
    return wide, Narrow(
        _PLACES.get(model.gated),
        int(model.disabled),
        stamp(model.created_at),
        stamp(model.last_modified),
        model.downloads,
        model.downloads_all_time,
        model.downloads,
        model.likes,
        model.trending_score,
        known.get(model.library),
        known.get(model.pipeline_tag),
        known.get(model.licence),
        known.get(model.parameters_from),
        model.parameters,
        model.memory_size,
        at,
        None,
    )


def entries(connection: Connection, rows: Sequence[StoredRow], strings: StringTable) -> list[HubEntry]:
    """Return the models of rows."""
    wanted = {number for row in rows for number in numbers(row.wide.tags)}
    for row in rows:
        figures = row.narrow
        wanted.update(
            number
            for number in (figures.library, figures.pipeline_tag, figures.licence, figures.parameters_from)
            if number is not None
        )
    texts: dict[int | None, str] = {None: ""}
    texts.update(strings.texts(connection, wanted).items())
    return [_entry(row, texts) for row in rows]


def _entry(row: StoredRow, texts: Mapping[int | None, str]) -> HubEntry:
    wide, figures = row.wide, row.narrow
    tags = tuple([texts.get(number, "") for number in numbers(wide.tags)])
    extra = json.loads(wide.extra) if wide.extra else {}
    model = HubModel(
        id=wide.id,
        object_id=unpacked(wide.object_id),
        sha=unpacked(wide.sha),
        gated=Gated.UNKNOWN if figures.gated is None else GATED[figures.gated],
        disabled=bool(figures.disabled),
        created_at=moment(figures.created_at),
        last_modified=moment(figures.last_modified),
        downloads=figures.downloads,
        downloads_all_time=figures.downloads_all_time,
        likes=figures.likes,
        trending_score=figures.trending_score,
        library=texts[figures.library],
        pipeline_tag=texts[figures.pipeline_tag],
        licence=texts[figures.licence],
        base_models=tuple(extra["base_models"]) if "base_models" in extra else base_models_of(tags),
        tags=tags,
        parameters=figures.parameters,
        parameters_from=texts[figures.parameters_from],
        weights_size=wide.weights_size,
        memory_size=figures.memory_size,
    )
    seen_at = moment(figures.seen_at)
    assert seen_at is not None
    return HubEntry(model, seen_at, moment(figures.vanished_at))


def identifies(object_id: str) -> bool:
    """Return whether an `_id` is one of the Hub's, by which a model is the same under another name."""
    return len(object_id) == _HEX[0] and len(packed(object_id)) == _HEX[0] // 2


def packed(text: str) -> bytes:
    """Return a text of the Hub's, as a rule hexadecimal, in half of its bytes."""
    if not text:
        return b""
    if len(text) in _HEX:
        try:
            content = bytes.fromhex(text)
        except ValueError:
            content = b""
        if content.hex() == text:
            return content
    other = _OTHER + text.encode()
    return _OTHER + other if 2 * len(other) in _HEX else other


def unpacked(content: bytes) -> str:
    """Return the text that `packed` packed."""
    if 2 * len(content) in _HEX:
        return bytes(content).hex()
    return bytes(content).lstrip(_OTHER).decode()


def _extra(model: HubModel) -> str | None:
    if model.base_models == base_models_of(model.tags):
        return None
    return json.dumps({"base_models": model.base_models})
