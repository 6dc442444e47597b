"""Options and results of embedding calls, with OpenAI's fields: `dimensions` and `encoding_format`.

Not here: which dimensions a model has (matryoshka).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weighbridge.errors import InvalidRequest
from weighbridge.handlers.request import whole_number

#: OpenAI's ways to send a vector: as numbers, or as base64 of little-endian float32.
ENCODING_FORMATS = ("float", "base64")


@dataclass(frozen=True)
class WantedVectors:
    """The options of an embedding call.

    Attributes:
        dimensions: the length of each vector, or None for the model's own.
        encoding_format: how a service sends them, `float` or `base64`; a handler always returns an array.
    """

    dimensions: int | None = None
    encoding_format: str | None = None


def wanted_vectors(name: str, options: Mapping[str, Any]) -> WantedVectors:
    """Return the checked options of a call of `embed`.

    Args:
        name: the model's name, for messages.
        options: those of the call, the fields of `WantedVectors`.

    Raises:
        InvalidRequest: one is invalid or unknown.
    """
    given = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(given.keys() - WantedVectors.__dataclass_fields__.keys())
    if unknown:
        raise InvalidRequest(f"{name} takes no {', '.join(unknown)}.", "Leave it out.")
    wanted = WantedVectors(**given)
    if wanted.dimensions is not None and (not whole_number(wanted.dimensions) or wanted.dimensions < 1):
        raise InvalidRequest(f"dimensions is {wanted.dimensions!r}.", "Ask for a whole number, 1 or more.")
    if wanted.encoding_format not in (None, *ENCODING_FORMATS):
        raise InvalidRequest(
            f"encoding_format is {wanted.encoding_format!r}.", f"Ask for {' or '.join(ENCODING_FORMATS)}."
        )
    return wanted


def as_base64(vectors: np.ndarray) -> str:
    """Return the numbers of one or several vectors, one after another."""
    return base64.b64encode(np.ascontiguousarray(vectors, "<f4").tobytes()).decode()


def encoded(vectors: np.ndarray, encoding_format: str) -> list[Any]:
    """Return each vector in the form of OpenAI's API: numbers for `float`, text for `base64`."""
    if encoding_format == "base64":
        return [as_base64(vector) for vector in vectors]
    return [[float(value) for value in vector] for vector in vectors]


def from_base64(text: str) -> np.ndarray:
    """Return the numbers in the text of `as_base64`. Raises ValueError."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4")
