"""A registry of many models, made by code: the same rows for Weighbridge, on each database, and for MLflow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import MetaData, create_engine, event, insert

from weighbridge.catalog import Catalog, listings, manifests, results, schema
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.result import BenchmarkResult, Interval, Metric

ARCHITECTURES = ("llama", "qwen2", "mistral", "bert", "gemma", "phi3", "t5", "whisper", "vit", "clip")
LICENCES = ("apache-2.0", "mit", "llama3.1", "gemma", "cc-by-nc-4.0")
TASKS = ("text-generation", "fill-mask", "feature-extraction", "automatic-speech-recognition", "image-classification")
TAGS = ("chat", "instruct", "code", "math", "en", "de", "multilingual", "vision", "long-context", "distilled")
WORDS = ("quick", "small", "aligned", "medical", "legal", "tuned", "sparse", "merged", "teacher", "draft", "reward")
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 2000


@dataclass(frozen=True)
class Size:
    """How much there is.

    Attributes:
        models: their number.
        versions: of each model.
        measured: models whose newest version has a result of each of two benchmarks.
    """

    models: int = 20_000
    versions: int = 5
    measured: int = 1_000

    def of(self, number: int) -> str:
        """Return the name of a model by its number."""
        return f"org-{number * 7919 % 500}/{WORDS[number % len(WORDS)]}-model-{number}"

    def of_mlflow(self, number: int) -> str:
        """Return the name of a model in MLflow, whose names have no slash."""
        return _without_slash(self.of(number))


def _without_slash(name: str) -> str:
    return name.replace("/", "--")


def _card(drawn: random.Random) -> ModelCard:
    text = " ".join(drawn.choices(WORDS, k=12))
    values: dict[str, Any] = {
        "architecture": drawn.choice(ARCHITECTURES),
        "parameter_count": drawn.choice((1, 3, 7, 13, 70)) * 10**9 + drawn.randrange(10**6),
        "context_length": drawn.choice((4096, 8192, 131072)),
        "task": drawn.choice(TASKS),
        "licence": drawn.choice(LICENCES),
        "description": f"A {text} model of a company's own.",
        "tags": sorted(drawn.sample(TAGS, 3)),
    }
    return ModelCard({name: Field(value, "config.json") for name, value in values.items()})


@dataclass(frozen=True)
class _Version:
    """A version as both registries get it; `id` and `model` count from 1."""

    id: int
    model: int
    name: str
    number: str
    card: ModelCard
    status: str
    at: datetime

    @property
    def revision(self) -> str:
        return f"{self.id:040x}"

    @cached_property
    def files(self) -> Manifest:
        weights = FileEntry("model.safetensors", self.size - 2, Digest.sha256(b"%d" % self.id))
        config = FileEntry("config.json", 2, Digest.sha256(b"{}"))
        return Manifest(ModelRef("huggingface", self.name, self.revision), (config, weights))

    @property
    def manifest(self) -> str:
        return str(self.files.digest)

    @property
    def size(self) -> int:
        return int(self.card.get("parameter_count")) * 2 + 2


def _versions(size: Size) -> Iterator[_Version]:
    drawn = random.Random(1)
    id_ = 0
    for model in range(1, size.models + 1):
        card = _card(drawn)
        for minor in range(size.versions):
            id_ += 1
            status = "FAILED" if drawn.random() < 0.1 else "PASSED"
            at = _BEGIN + timedelta(seconds=id_)
            yield _Version(id_, model, size.of(model), f"1.{minor}.0", card, status, at)


def _rows(version: _Version) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row of a version, with the name of its table; those that others point to come first."""
    at, manifest, report = version.at, version.manifest, f"{version.id:032x}"
    yield "manifests", {"digest": manifest, "size": version.size, "file_count": 2, "created_at": at}
    for entry in version.files.files:
        row = {"path": entry.path, "size": entry.size, "digest": str(entry.digest)}
        yield "files", {"manifest_digest": manifest, **row}
    weights = str(version.files.files[1].digest)
    content = {
        "digest": weights,
        "scanner": "clamav",
        "version": "1.4.6",
        "rules": "db-1",
        "subject": "safetensors",
        "status": "completed",
        "reason": "",
        "bytes_covered": version.size,
        "bytes_total": version.size,
        "findings": [],
        "engine": {"database": "official"},
    }
    key = {name: content[name] for name in ("digest", "scanner", "version", "rules", "subject", "status")}
    yield "reports", {"id": report, **key, "content": content, "sequence": version.id, "recorded_at": at}
    if version.number == "1.0.0":
        yield "models", {"id": version.model, "name": version.name, "created_at": at}
    decision = Decision(version.status, "standard", "f" * 64, (), (report,))  # type: ignore[arg-type]
    yield (
        "versions",
        {
            "id": version.id,
            "model_id": version.model,
            "version": version.number,
            "manifest_digest": manifest,
            "status": version.status,
            "source": version.files.ref.uri,
            "ref": manifests.ref_to_json(version.files.ref),
            "archive": "",
            "card": version.card.to_json(),
            "decision": decision.to_json(),
            "gated": False,
            "created_at": at,
            "updated_at": at,
        },
    )
    yield "version_reports", {"version_id": version.id, "report_id": report}


def _results(size: Size) -> Iterator[BenchmarkResult]:
    drawn = random.Random(2)
    for version in _versions(size):
        if version.model > size.measured or version.number != f"1.{size.versions - 1}.0":
            continue
        for benchmark, metric in (
            ("inference_latency", "ttft_p50"),
            ("throughput", "output_tokens_per_second_batch_1"),
        ):
            value = drawn.uniform(0.1, 2.0)
            yield BenchmarkResult(
                benchmark=benchmark,
                definition=f"{benchmark}/1",
                manifest_digest=version.manifest,
                metrics=(Metric(metric, value, "s", 60, Interval(value * 0.95, value * 1.05), better="lower"),),
                settings={"n": 60, "warmups": 10, "device": "cuda:0"},
                hardware={"device": "cuda:0", "gpu": drawn.choice(("H200", "L4")), "gpu_count": 1, "memory": 2**37},
                software={"torch": "2.13.0+cu130", "transformers": "5.23.0"},
                started_at=version.at.isoformat(),
            )


def fill(catalog: Catalog, size: Size) -> None:
    """Fill an empty catalog."""
    tables = schema.metadata.tables
    waiting: dict[str, list[dict[str, Any]]] = {}
    with catalog._database.write() as connection:
        for version in _versions(size):
            for table, row in _rows(version):
                waiting.setdefault(table, []).append(row)
            if version.id % _BATCH == 0 or version.id == size.models * size.versions:
                for table in sorted(waiting, key=list(tables).index):
                    connection.execute(tables[table].insert(), waiting[table])
                waiting.clear()
        for result in _results(size):
            results.add(connection, result, _BEGIN)
        for model in range(1, size.models + 1):
            listings.refresh(connection, size.of(model))


#: Each catalog has its own.
_OWN = ("access_keys", "audit", "audit_head", "identity")


def copy(catalog: Catalog, other: Catalog) -> None:
    """Copy every row of a catalog into an empty one."""
    with catalog._database.read() as source, other._database.write() as target:
        for table in schema.metadata.sorted_tables:
            if table.name in _OWN:
                continue
            found = source.execution_options(stream_results=True).execute(table.select())
            for part in found.mappings().partitions(_BATCH):
                target.execute(table.insert(), [dict(row) for row in part])


def fill_mlflow(url: str, size: Size) -> None:
    """Write the same models and versions into the database of an MLflow server, in its own tables."""
    engine = create_engine(url)
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys = ON"))
    tables = MetaData()
    tables.reflect(engine)
    named = {name: tables.tables[name] for name in ("registered_models", "model_versions", "registered_model_tags")}
    waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in named}
    with engine.begin() as connection:
        for version in _versions(size):
            for table, row in _mlflow_rows(version):
                waiting[table].append(row)
            if version.id % _BATCH == 0 or version.id == size.models * size.versions:
                for table, rows in waiting.items():
                    connection.execute(insert(named[table]), rows)
                    rows.clear()
    engine.dispose()


def _mlflow_rows(version: _Version) -> Iterator[tuple[str, dict[str, Any]]]:
    name, at = _without_slash(version.name), int(version.at.timestamp() * 1000)
    times = {"creation_time": at, "last_updated_time": at}
    if version.number == "1.0.0":
        text = version.card.get("description")
        yield "registered_models", {"name": name, "description": text, **times}
        for key in ("architecture", "licence", "task", "parameter_count"):
            yield "registered_model_tags", {"name": name, "key": key, "value": str(version.card.get(key))}
        for tag in version.card.get("tags"):
            yield "registered_model_tags", {"name": name, "key": f"tag.{tag}", "value": "true"}
    number = int(version.number.split(".")[1]) + 1
    row = {"name": name, "version": number, "current_stage": "None", "status": "READY", **times}
    yield "model_versions", {**row, "source": f"mlflow-artifacts:/{version.id}", "description": version.number}
