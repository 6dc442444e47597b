"""Two-turn questions like MT-Bench's, written here, and a judge that grades as a test says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import documents
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.mt_bench_questions import TEMPERATURES

Body = dict[str, Any]
#: What the judge of most tests gives: mathematics less than the rest, and second answers less than first ones.
GRADES = {"math": (6, 2)}
OTHERS = (9, 5)
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


def grade(shown: dict[str, str]) -> int:
    """Return the grade of most tests for an answer."""
    pair = GRADES.get(shown["REQUEST 1"].split()[0], OTHERS)
    return pair[1 if "REQUEST 2" in shown else 0]


def judged_by(service: OpenAIService, folder: Path) -> BenchmarkSettings:
    """Return settings with two questions of each category, and a judge."""
    data = {"mt_bench": documents.lines(folder / "questions.jsonl", entries(2))}
    return BenchmarkSettings(data=data, judge_url=service.url, judge_model="wise", answer_tokens=16)
