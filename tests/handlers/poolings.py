"""The ways to pool, each as its formula over the states of one text's tokens, shape (tokens, size)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cls": lambda found: found[0],
    "lasttoken": lambda found: found[-1],
    "max": lambda found: found.max(axis=0),
    "mean": lambda found: found.mean(axis=0),
    "mean_sqrt_len_tokens": lambda found: found.sum(axis=0) / len(found) ** 0.5,
    "weightedmean": lambda found: np.average(found, axis=0, weights=np.arange(1, len(found) + 1)),
}
