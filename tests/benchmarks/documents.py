"""Data sets like those of MMLU and HumanEval, of a few documents written here, as the Hub has them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

Documents = Sequence[Mapping[str, Any]]


def questions(subject: str, count: int = 5) -> list[dict[str, Any]]:
    """Return multiple-choice questions; the right answers are spread over all four letters."""
    return [
        {
            "question": f"Which of these is number {number} of {subject}?",
            "subject": subject,
            "choices": [f"{letter}{number}" for letter in "pqrs"],
            "answer": (number + len(subject)) % 4,
        }
        for number in range(count)
    ]


def functions(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return functions to write: each returns its argument and its own number."""
    return [
        {
            "task_id": f"HumanEval/{number}",
            "prompt": f'def {name}(x: int) -> int:\n    """Add {number} to x."""\n',
            "canonical_solution": f"    return x + {number}\n",
            "test": f"def check(candidate):\n    assert candidate(1) == {number + 1}\n",
            "entry_point": name,
        }
        for number, name in enumerate(names)
    ]


def parquet(documents: Documents) -> bytes:
    """Return documents as a parquet file."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(document) for document in documents]), buffer)
    return buffer.getvalue()


def mmlu(subjects: Sequence[str], count: int = 5) -> dict[str, bytes]:
    """Return the files of `cais/mmlu` with these subjects, each with a test and a dev split."""
    lines = ["---", "configs:"]
    files: dict[str, bytes] = {}
    for subject in subjects:
        lines += [f"- config_name: {subject}", "  data_files:"]
        for split, number in (("test", count), ("dev", 5)):
            path = f"{subject}/{split}-00000-of-00001.parquet"
            lines += [f"  - split: {split}", f"    path: {path}"]
            files[path] = parquet(questions(subject if split == "test" else f"{subject} before", number))
    return {**files, "README.md": "\n".join([*lines, "---", ""]).encode()}


def humaneval(documents: Documents) -> dict[str, bytes]:
    """Return the files of `openai/openai_humaneval`."""
    path = "openai_humaneval/test-00000-of-00001.parquet"
    card = f"---\nconfigs:\n- config_name: openai_humaneval\n  data_files:\n  - split: test\n    path: {path}\n---\n"
    return {path: parquet(documents), "README.md": card.encode()}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a data set to a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def lines(path: Path, documents: Documents) -> str:
    """Write documents as JSON lines, and return the file's path."""
    path.write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    return str(path)
