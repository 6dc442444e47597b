"""Two-turn questions like MT-Bench's, written here, and a judge that grades as a test says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from weighbridge.benchmarks.mt_bench_questions import TEMPERATURES

Body = dict[str, Any]
_PART = re.compile(r"^#[0-9a-f]{16} (REQUEST|ANSWER|REFERENCE FOR REQUEST) (\d).*\n((?:(?!#[0-9a-f]{16} ).*\n)*)", re.M)


def entries(of_each: int = 1, **fields: Any) -> list[dict[str, Any]]:
    """Return questions as FastChat's file has them, so many of each category; right answers for mathematics alone."""
    return [
        {
            "question_id": 100 * place + number,
            "category": category,
            "turns": [f"{category} {number}?", "And then?"],
            **({"reference": [f"right {number}", ""]} if category == "math" else {}),
            **fields,
        }
        for place, category in enumerate(TEMPERATURES)
        for number in range(of_each)
    ]


def parts(body: Body) -> dict[str, str]:
    """Return what a judge was shown, by title: `REQUEST 1`, `ANSWER 1`, …"""
    found = _PART.findall(body["messages"][0]["content"])
    return {f"{title} {number}": text.removesuffix("\n") for title, number, text in found}


def judge(grade: Callable[[dict[str, str]], object]) -> Callable[[Body], str]:
    """Return what lets a simulated service grade: it thinks aloud, and its last line is the verdict."""
    return lambda body: f"It is what it is.\n\n[[{grade(parts(body))}]]"
