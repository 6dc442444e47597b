"""Vectors as text: OpenAI's `encoding_format: base64`, which is little-endian float32."""

from __future__ import annotations

import base64

import numpy as np


def as_base64(vectors: np.ndarray) -> str:
    """Return the numbers of one or several vectors, one after another."""
    return base64.b64encode(np.ascontiguousarray(vectors, "<f4").tobytes()).decode()


def from_base64(text: str) -> np.ndarray:
    """Return the numbers that `as_base64` wrote. Raises ValueError."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4")
