"""MT-Bench's questions: from a Hub, from files of several forms, and what is none of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import documents
from tests.benchmarks.conversations import entries
from tests.simulators.hub import Hub
from weighbridge.benchmarks import mt_bench_questions
from weighbridge.benchmarks.mt_bench_questions import digest, first, load
from weighbridge.errors import BenchmarkFailed

REPOSITORY = "HuggingFaceH4/mt_bench_prompts"
FILE = "raw/question.jsonl"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mt_bench_questions, "_TIMEOUT_S", 0.5)
    with Hub() as hub:
        yield hub


def content(of_each: int) -> bytes:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries(of_each)).encode()


def test_all_eighty_come_from_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPOSITORY, {FILE: content(10)}, kind="datasets")
    found = load("", hub.url)
    assert (len(found), found[0].turns, found[30].references) == (80, ("writing 0?", "And then?"), ("right 0", ""))
    monkeypatch.setenv("HF_ENDPOINT", hub.url + "/")
    assert load("", "") == found


def test_a_private_hub_gets_its_token_and_no_other_host_does(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(REPOSITORY, {FILE: content(10)}, kind="datasets", private=True)
    hub.tokens["hf_secret"] = frozenset({REPOSITORY})
    with pytest.raises(BenchmarkFailed, match="data mt_bench=FILE"):
        load("", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.cdn = True
    assert len(load("", hub.url)) == 80
    tokens = {request.headers.get("host", "").partition(":")[0]: request.token for request in hub.requests[1:]}
    assert tokens.pop("127.0.0.1") == "hf_secret"
    assert not any(tokens.values())


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 404}, "nothing at"),
        ({"status": 503}, "busy or broken"),
        ({"hang_after": 100}, "sent nothing"),
        ({"hang_after": -1}, "sent nothing"),
        ({"cut_after": 100}, "failed"),
        ({"content": b"<html>"}, "line 1 is not JSON"),
        ({"content": b"{}"}, "Question 1 of"),
        ({"content": b""}, "holds 0 questions"),
        ({"content": content(1)}, "8 questions in 8 categories"),
        ({"content": content(11)}, "88 questions"),
        ({"content": b"[" * 100_000}, "is not JSON"),
        ({"content": b"x" * 17 * 1024**2}, "longer than"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_hub_without_them_is_told(hub: Hub, fault: dict[str, Any], told: str) -> None:
    hub.add(REPOSITORY, {FILE: content(10)}, kind="datasets")
    hub.fault("question.jsonl", length=len(fault["content"]) if "content" in fault else None, **fault)
    with pytest.raises(BenchmarkFailed, match=told):
        load("", hub.url)


def test_files_of_every_form_hold_the_same(tmp_path: Path) -> None:
    own = entries(2)
    as_on_hub = [
        {
            "prompt": entry["turns"],
            "prompt_id": entry["question_id"],
            "category": entry["category"],
            "reference": entry.get("reference", []),
        }
        for entry in own
    ]
    (tmp_path / "list.json").write_text(json.dumps(own))
    (tmp_path / "rows.parquet").write_bytes(documents.parquet(as_on_hub))
    paths = [documents.lines(tmp_path / "own.jsonl", own), documents.lines(tmp_path / "hub.jsonl", as_on_hub)]
    found = {load(path, "") for path in [*paths, str(tmp_path / "list.json"), str(tmp_path / "rows.parquet")]}
    (questions,) = found
    assert len(questions) == 16
    own[0]["turns"][1] = "And now?"
    changed = load(documents.lines(tmp_path / "own.jsonl", own), "")
    assert digest(changed) != digest(questions)


@pytest.mark.parametrize(
    "change",
    [
        {"category": "cooking"},
        {"category": ["math"]},
        {"category": None},
        {"turns": ["one"]},
        {"turns": ["one", "two", "three"]},
        {"turns": "ab"},
        {"turns": ["one", 2]},
        {"turns": ["one", " "]},
        {"turns": ["one", "x" * 70_000]},
        {"turns": ["one", "\ud800"]},
        {"question_id": "81"},
        {"question_id": True},
        {"question_id": -1},
        {"question_id": 1.5},
        {"question_id": 100},  # another one's
        {"reference": "right"},
        {"reference": ["a", "b", "c"]},
        {"reference": [1]},
        {"reference": {"a": 1}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_what_is_no_question_is_told_with_its_place(tmp_path: Path, change: dict[str, Any]) -> None:
    path = documents.lines(tmp_path / "own.jsonl", [*entries(), entries()[0] | {"question_id": 99} | change])
    with pytest.raises(BenchmarkFailed, match="Question 9 of"):
        load(path, "")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.jsonl", None, "not a file of questions"),
        ("own.csv", b"a,b", "not a file of questions"),
        ("own.json", b'{"a": 1}', "does not hold a list"),
        ("own.jsonl", b"\xff\xfe", "is not JSON"),
        ("own.jsonl", b'"text"\n', "Question 1 of"),
        ("own.jsonl", b"\n\n", "holds 0 questions"),
        ("own.jsonl", b" " * 17 * 1024**2, "more than"),
        ("own.parquet", b"PAR1" + b"\0" * 64 + b"PAR1", "not a parquet file"),
        ("own.parquet", documents.parquet([{"question_id": 1}]), "Question 1 of"),
        ("own.parquet", documents.parquet([{"turns": "x"}] * 10_001), "holds too much"),
        (
            "own.parquet",
            documents.parquet([{"turns": "x" * 1000}] * 9_000 + [{"turns": "y" * 17 * 1024**2}]),
            "too much",
        ),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_file_of_questions_is_told(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchmarkFailed, match=told):
        load(str(tmp_path / name), "")


def test_a_limit_takes_from_every_category_in_turn(tmp_path: Path) -> None:
    questions = load(documents.lines(tmp_path / "own.jsonl", entries(3)), "")
    assert [question.id for question in first(questions, 10)] == [0, 1, 100, 101, 200, 300, 400, 500, 600, 700]
    assert [question.id for question in first(questions, 2)] == [0, 100]
    assert first(questions, 0) == first(questions, 1000) == questions
