"""Reading one row of a Hub's list of models.

A field that makes no sense counts as not said; a name that no repository can have makes the row unreadable. Every
text is bounded and visible: no control character, nothing that turns the reading direction, no lone surrogate. Not
here: requests (net.hub.listing), what the sizes are computed of (domain.estimates).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from weighbridge.domain.estimates.listing import listed_size
from weighbridge.domain.hub_models import Gated, HubModel, base_models_of, licence_of

#: The names that repositories have: the Hub's rules of today, and somewhat more for old ones.
_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}(?:/[A-Za-z0-9_.-]{1,128})?")
_DOTS = frozenset({".", ".."})
_OBJECT_ID = re.compile(r"[0-9a-f]{8,64}")
_SHA = re.compile(r"[0-9a-f]{40}")
#: The most characters of a text, and tags of a model.
_MAX_TEXT, _MAX_TAGS = 256, 512
_MAX_NUMBER = 2**63 - 1


def read_model(document: Mapping[str, Any]) -> HubModel | None:
    """Return what a row of a list, or the description of one model, says; None where it names no repository.

    Args:
        document: a JSON object of the Hub, unchecked.
    """
    name = document.get("id") or document.get("modelId")
    if not isinstance(name, str) or not is_model_id(name):
        return None
    tags = _tags(document.get("tags"))
    safetensors, gguf, config = (_mapping(document.get(key)) for key in ("safetensors", "gguf", "config"))
    size = listed_size(name, safetensors, gguf, config, tags)
    return HubModel(
        id=name,
        object_id=_matching(_OBJECT_ID, document.get("_id")),
        sha=_matching(_SHA, document.get("sha")),
        gated=Gated.of(document.get("gated")),
        disabled=document.get("disabled") is True,
        created_at=_moment(document.get("createdAt")),
        last_modified=_moment(document.get("lastModified")),
        downloads=_count(document.get("downloads")),
        downloads_all_time=_count(document.get("downloadsAllTime")),
        likes=_count(document.get("likes")),
        trending_score=_score(document.get("trendingScore")),
        library=_text(document.get("library_name")),
        pipeline_tag=_text(document.get("pipeline_tag")),
        licence=licence_of(tags),
        base_models=base_models_of(tags),
        tags=tags,
        parameters=size.parameters,
        parameters_from=size.parameters_from,
        weights_size=size.weights_size,
        memory_size=size.memory_size,
    )


def is_model_id(value: object) -> bool:
    """Return whether a value can be the name of a repository of models."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        return False
    return not _DOTS.intersection(value.split("/"))


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    # Written out, as a refresh does it some thirty million times.
    return tuple(
        [tag for tag in value[:_MAX_TAGS] if isinstance(tag, str) and 0 < len(tag) <= _MAX_TEXT and tag.isprintable()]
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable() else ""


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _matching(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_NUMBER else None


def _score(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        score = float(value)
    except OverflowError:
        return None
    return score if math.isfinite(score) else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or not value.isascii() or len(value) > _MAX_TEXT:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
