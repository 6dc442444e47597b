"""MT-Bench's questions (Zheng et al., 2023): read from their data set on the Hub or from a file, and checked.

They are never part of Weighbridge. Whole sets come from the Hub's `HuggingFaceH4/mt_bench_prompts`; a file may have
other questions of the same categories, in the form of that data set or of FastChat's `question.jsonl`. Not here: asking
them (mt_bench_answers).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.extras import install_command
from weighbridge.errors import BenchmarkFailed, SourceError, UsageError
from weighbridge.handlers.request import whole_number
from weighbridge.net.credentials import read_auth
from weighbridge.net.transfer import Transfer

#: The temperature of each category in the paper's own implementation.
TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "reasoning": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "extraction": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
OF_EACH_CATEGORY = 10
TURNS = 2
HUB = "https://huggingface.co"
PATH = "datasets/HuggingFaceH4/mt_bench_prompts/resolve/main/raw/question.jsonl"
#: The suffixes of files of questions.
FORMATS = (".jsonl", ".json", ".parquet")
_MAX_SIZE = 16 * 1024**2
_MAX_QUESTIONS = 10_000
_MAX_LETTERS = 65_536
_TIMEOUT_S, _MAX_REDIRECTS = 60.0, 5
_FORM = (
    "Each question needs question_id (a number), category, turns (two texts, also called prompt) and perhaps reference."
)


@dataclass(frozen=True)
class Question:
    """Two requests of one conversation.

    Attributes:
        id: the data set's own number.
        category: a name of `TEMPERATURES`.
        turns: the two requests.
        references: the right answer to each, empty where the data set has none.
    """

    id: int
    category: str
    turns: tuple[str, str] = field(repr=False)
    references: tuple[str, str] = field(default=("", ""), repr=False)


def load(path: str, endpoint: str) -> tuple[Question, ...]:
    """Return the questions of a file, or all 80 of the Hub's data set.

    Args:
        path: the file, or empty for the Hub.
        endpoint: the Hub; HF_ENDPOINT, else huggingface.co, when empty.

    Raises:
        BenchmarkFailed: they cannot be read, or are not such questions.
    """
    if path:
        return _checked(_read(Path(path)), path)
    hub = (endpoint or os.environ.get("HF_ENDPOINT", "") or HUB).rstrip("/")
    found = _checked(_lines(_fetch(hub), hub), hub)
    counts = Counter(question.category for question in found)
    if counts != dict.fromkeys(TEMPERATURES, OF_EACH_CATEGORY):
        raise BenchmarkFailed(
            f"The data set at {hub} is not MT-Bench's: it has {len(found)} questions in {len(counts)} categories.",
            "80 are needed, 10 of each of 8. Name a file with the right ones: --data mt_bench=FILE.jsonl.",
        )
    return found


def first(questions: Sequence[Question], limit: int) -> tuple[Question, ...]:
    """Return `limit` questions, in their order: the first of each category, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    ranked = []
    for place, question in enumerate(questions):
        ranked.append((seen[question.category], place))
        seen[question.category] += 1
    taken = sorted(ranked)[: limit or len(ranked)]
    return tuple(questions[place] for place in sorted(place for _, place in taken))


def digest(questions: Iterable[Question]) -> str:
    """Return a digest of questions and references, which distinguishes runs with others."""
    plain = json.dumps([astuple(question) for question in questions]).encode()
    return f"sha256:{hashlib.sha256(plain).hexdigest()}"


def _fetch(hub: str) -> bytes:
    url = f"{hub}/{PATH}"
    remedy = "Check the endpoint, or name a file with the questions: --data mt_bench=FILE.jsonl."
    try:
        token = read_auth(AuthPlace(), "huggingface-dataset", hub).header(url)
        with_limits = Transfer(timeout_s=_TIMEOUT_S, max_redirects=_MAX_REDIRECTS)
        return with_limits.read(url, accept="*/*", authorization=token, max_size=_MAX_SIZE).content
    except (SourceError, UsageError) as error:
        raise BenchmarkFailed(f"MT-Bench's questions cannot be fetched: {error.problem}", remedy) from error


def _read(path: Path) -> list[Any]:
    """Return the entries of a file, one for each question. Raises BenchmarkFailed."""
    if path.suffix not in FORMATS or not path.is_file():
        raise BenchmarkFailed(
            f"“{path}” is not a file of questions.",
            f"Name one that ends with {', '.join(FORMATS)}, or none for the Hub.",
        )
    if path.stat().st_size > _MAX_SIZE:
        raise BenchmarkFailed(f"“{path}” has more than {_MAX_SIZE:,} bytes.", "MT-Bench has 80 questions.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchmarkFailed(f"“{path}” cannot be read: {error.strerror}.", "Check its permissions.") from error
    if path.suffix == ".parquet":
        return _rows(content, path)
    if path.suffix == ".jsonl":
        return _lines(content, str(path))
    found = _json(content, str(path))
    if not isinstance(found, list):
        raise BenchmarkFailed(f"“{path}” does not hold a list.", _FORM)
    return found


def _lines(content: bytes, place: str) -> list[Any]:
    lines = [line for line in content.splitlines() if line.strip()]
    return [_json(line, f"{place}, line {number}") for number, line in enumerate(lines, 1)]


def _json(content: bytes, place: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BenchmarkFailed(f"{place} is not JSON.", _FORM) from error


def _rows(content: bytes, path: Path) -> list[Any]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise BenchmarkFailed(f"There is no reader for “{path}”.", install_command("benchmark")) from error
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        if file.metadata.num_rows > _MAX_QUESTIONS or sum(group.total_byte_size for group in groups) > _MAX_SIZE:
            raise BenchmarkFailed(f"“{path}” holds too much.", "MT-Bench has 80 questions.")
        rows: list[Any] = file.read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BenchmarkFailed(f"“{path}” is not a parquet file: {str(error)[:200]}.", _FORM) from error
    return rows


def _checked(entries: Sequence[Any], place: str) -> tuple[Question, ...]:
    """Return entries as questions. Raises BenchmarkFailed for the first invalid one."""
    if not 0 < len(entries) <= _MAX_QUESTIONS:
        raise BenchmarkFailed(f"{place} holds {len(entries):,} questions.", f"{_MAX_QUESTIONS:,} are the most.")
    found: dict[int, Question] = {}
    for number, entry in enumerate(entries, 1):
        question = _question(entry)
        if question is None or question.id in found:
            known = "occurs twice" if question else "is not one of MT-Bench's"
            raise BenchmarkFailed(f"Question {number} of {place} {known}.", _FORM)
        found[question.id] = question
    return tuple(found.values())


def _question(entry: Any) -> Question | None:
    fields: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
    number, category = fields.get("question_id", fields.get("prompt_id")), fields.get("category")
    turns = _texts(fields.get("turns", fields.get("prompt")))
    references = _texts(fields.get("reference") or [])
    if not whole_number(number) or not 0 <= number < 2**53:
        return None
    if not isinstance(category, str) or category not in TEMPERATURES:
        return None
    if turns is None or len(turns) != TURNS or not all(turn.strip() for turn in turns):
        return None
    if references is None or len(references) > TURNS:
        return None
    one, two = (*references, "", "")[:TURNS]
    return Question(number, category, (turns[0], turns[1]), (one, two))


def _texts(value: Any) -> tuple[str, ...] | None:
    """Return a list of texts, or None for any other value; parquet has null for missing ones."""
    if not isinstance(value, list) or len(value) > TURNS:
        return None
    found = tuple("" if text is None else text for text in value)
    if not all(isinstance(text, str) and len(text) <= _MAX_LETTERS and _writable(text) for text in found):
        return None
    return found


def _writable(text: str) -> bool:
    """Return whether a text can be sent, as JSON may have half surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
