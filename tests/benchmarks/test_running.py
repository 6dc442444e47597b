"""Benchmarking: a version that passed is laid out, measured in a child, and every result is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.handlers import tiny
from tests.registries.values import put
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.planning import Measurement, measure
from weighbridge.benchmarks.running import (
    BenchmarkRequest,
    benchmark,
    doable,
    handler_options,
    laid_out,
    misfit,
    own_benchmarks,
)
from weighbridge.config.models_file import ModelEntry
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.result import OF_RUN, BenchmarkResult
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import IntegrityError, InvalidConfiguration, RegistryError
from weighbridge.handlers.choosing import benchmarks_of, handler_of
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.sweeping import sweep

pytestmark = pytest.mark.xdist_group("torch")
SETTINGS = BenchmarkSettings(n=6, warmups=1, prompt_tokens=8, output_tokens=4, batch_sizes=(1,), timeout_s=120)


def clock() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def version(store: LocalBlobStore, folder: Path) -> ModelVersion:
    content: Mapping[str, bytes] = {path.name: path.read_bytes() for path in tiny.llama(folder).iterdir()}
    return put(store, content, name="tiny")


def test_every_benchmark_of_the_task_gives_a_result_at_once(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    found = version(store, tmp_path / "llama")
    kept: list[BenchmarkResult] = []
    request = BenchmarkRequest(device="cpu", settings=SETTINGS)
    results = benchmark(found, store, request, clock, keep=kept.append)
    assert kept == results
    assert [result.benchmark for result in results] == ["inference_latency", "throughput", "memory"]
    assert all(result.failure == "" and result.metrics for result in results)
    assert {result.manifest_digest for result in results} == {str(found.manifest.digest)}


def test_a_benchmark_that_fails_stops_no_other(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    request = BenchmarkRequest(("lm_eval", "memory"), device="cpu", settings=SETTINGS)
    failed, memory = benchmark(version(store, tmp_path / "llama"), store, request, clock)
    assert ("No task" in failed.failure, failed.cause) == (True, OF_RUN)
    assert memory.failure == ""


def test_what_a_handler_cannot_do_is_refused_before_anything_runs(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    kept: list[BenchmarkResult] = []
    request = BenchmarkRequest(("memory", "embedding_rate"), device="cpu", settings=SETTINGS)
    with pytest.raises(InvalidConfiguration, match="text-embedding"):
        benchmark(version(store, tmp_path / "llama"), store, request, clock, keep=kept.append)
    assert kept == []


def test_a_handler_that_only_answers_messages_has_the_benchmarks_that_it_can_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_plain.py").write_text(
        "class Mine:\n    capabilities = ['chat-completion']\n"
        "    def generate(self, messages, **options): ...\n    def count_tokens(self, messages, **options): ...\n"
    )
    wanted = ("inference_latency", "throughput", "memory", "embedding_rate", "mt_bench")
    assert doable(wanted, "own_plain.Mine") == ("mt_bench",)
    assert "complete or stream" in misfit("throughput", "own_plain.Mine")
    assert doable(wanted, "weighbridge.handlers.upstream.UpstreamChat") == (*wanted[:2], "mt_bench")


def test_what_looks_into_the_model_needs_one_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    made = (
        "class Mine:\n    capabilities = ['chat-completion']\n"
        "    def generate(self): ...\n    def count_tokens(self): ...\n"
    )
    (tmp_path / "own_looks.py").write_text(
        made
        + "    def __init__(self): model = tokenizer = 1\n"
        + made.replace("Mine", "Whole").replace("    cap", "    model: object = None\n    cap")
        + "    def __init__(self): self.tokenizer = 1\n"
        + made.replace("Mine", "Asked")
        + "    def __getattr__(self, name): ...\n"
        + made.replace("class Mine", "class Stands(Whole)")
    )
    wanted = ("memory", "mmlu", "lm_eval", "humaneval", "mt_bench")
    assert doable(wanted, "own_looks.Mine") == ("mt_bench",)
    assert misfit("mmlu", "own_looks.Mine").endswith("own_looks.Mine has no model and no tokenizer")
    assert misfit("memory", "weighbridge.handlers.upstream.UpstreamChat").endswith("has no model")
    for able in ("own_looks.Whole", "own_looks.Asked", "own_looks.Stands", "weighbridge.handlers.chat.TextChat"):
        assert doable(wanted, able) == wanted, able


def test_a_handler_of_another_task_than_the_card_s_is_measured_by_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_else.py").write_text(
        "class Ranks:\n    capabilities = ['rerank']\n    def rerank(self): ...\n"
        "class Silent:\n    capabilities = ['vision']\n    def generate(self): ...\n"
    )
    card = ModelCard({"task": Field("feature-extraction", "x")})
    assert own_benchmarks(card, "own_else.Ranks") == ("rerank_rate",)
    assert own_benchmarks(ModelCard(), "weighbridge.handlers.embedding.TextEmbedding") == ("embedding_rate",)
    store = LocalBlobStore(tmp_path / "store")
    with pytest.raises(InvalidConfiguration, match="it has no default benchmarks"):
        benchmark(put(store), store, BenchmarkRequest(handler="own_else.Silent"), clock)


def test_only_what_passed_is_ever_laid_out(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    rejected = put(store, status="FAILED")
    with pytest.raises(RegistryError), laid_out(rejected, store):
        pass
    with laid_out(put(store), store) as folder:
        assert (folder / "config.json").is_symlink()
    assert not folder.exists()


#: A handler that does something to a file of its model, and afterwards looks as if it had not.
WRITER = """
import os, pathlib
import numpy
class Mine:
    name, device, capabilities, dim = "mine", "cpu", ["text-embedding"], 2
    def __init__(self, model, *_, **__):
        path = pathlib.Path(model) / "config.json"
        blob, before = path.resolve(), path.stat()
        for place in (blob, blob.parent):
            place.chmod(0o755)
        CHANGE
        blob.chmod(0o444)
        os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    def count_tokens(self, texts): ...
    def embed(self, texts, **_):
        return numpy.zeros((len(texts), 2), numpy.float32)
"""


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], BenchmarkRequest]:
    """Return a function that gives a request for a handler with a change of its own."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    monkeypatch.syspath_prepend(tmp_path)

    def requested(change: str) -> BenchmarkRequest:
        (tmp_path / "own_writer.py").write_text(WRITER.replace("CHANGE", change))
        return BenchmarkRequest(("embedding_rate",), "own_writer.Mine", "cpu", settings=replace(SETTINGS, n=1))

    return requested


@pytest.mark.parametrize(
    "change",
    [
        "os.pwrite(os.open(blob, os.O_WRONLY), b'X', 3)",
        "open(path, 'ab').write(b' ')",
        "other = blob.with_name('other'); other.write_bytes(blob.read_bytes()[:-1] + b'X'); os.replace(other, blob)",
    ],
)
def test_what_a_model_writes_into_the_store_is_found_and_its_result_not_kept(
    tmp_path: Path, writer: Callable[[str], BenchmarkRequest], change: str
) -> None:
    store = LocalBlobStore(tmp_path / "store")
    found, kept = put(store), list[BenchmarkResult]()
    with pytest.raises(IntegrityError, match=r"org/name@1\.0\.0 ran, .* changed or removed its files: config\.json\."):
        benchmark(found, store, writer(change), clock, keep=kept.append)
    changed = found.manifest.by_path["config.json"].digest
    assert changed is not None
    assert (kept, store.has(changed), list(store.corrupt_digests())) == ([], False, [changed])


def test_what_a_model_removes_from_the_store_is_found_as_it_may_have_been_changed_before(
    tmp_path: Path, writer: Callable[[str], BenchmarkRequest]
) -> None:
    store, kept = LocalBlobStore(tmp_path / "store"), list[BenchmarkResult]()
    with pytest.raises(IntegrityError, match=r"removed its files: config\.json\."):
        benchmark(put(store), store, writer("blob.unlink(); return"), clock, keep=kept.append)
    assert kept == []


def test_a_model_that_changes_no_byte_has_a_result(tmp_path: Path, writer: Callable[[str], BenchmarkRequest]) -> None:
    store = LocalBlobStore(tmp_path / "store")
    change = "os.pwrite(os.open(blob, os.O_WRONLY), path.read_bytes(), 0)"
    (result,) = benchmark(put(store), store, writer(change), clock)
    assert result.failure == ""
    assert list(store.corrupt_digests()) == []


def test_what_a_model_runs_on_is_deleted_by_no_collection(
    tmp_path: Path, writer: Callable[[str], BenchmarkRequest]
) -> None:
    store = LocalBlobStore(tmp_path / "store")
    change = (
        "from weighbridge.store.local import LocalBlobStore; from weighbridge.store.sweeping import sweep; "
        "sweep(LocalBlobStore(blob.parents[3]), set); assert blob.exists(); return"
    )
    result = measure(Measurement("embedding_rate", put(store), store.root, writer(change)), clock)
    assert result.failure == ""
    assert sweep(store, set).held == 0


def test_what_is_written_while_a_question_is_answered_is_found(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    paths = ("model.safetensors", "tokenizer/vocab+merges.txt")

    def ask() -> None:
        with laid_out(put(store), store) as folder:
            for path in paths:
                (folder / path).resolve().chmod(0o644)
                (folder / path).write_bytes(b"changed")
            raise ZeroDivisionError  # Whatever else happens.

    with pytest.raises(IntegrityError) as error:
        ask()
    assert error.value.facts["paths"] == list(paths)


def test_the_task_chooses_handler_and_benchmarks() -> None:
    chat, none = ModelCard({"task": Field("text-generation", "x")}), ModelCard()
    assert handler_of("m", chat) == "weighbridge.handlers.chat.TextChat"
    assert benchmarks_of(none) == ()
    for card in (none, ModelCard({"task": Field("text-to-video", "x")})):
        with pytest.raises(InvalidConfiguration, match="--handler"):
            handler_of("m", card)


def test_models_yaml_says_what_its_handler_takes() -> None:
    entry = ModelEntry(hf_repo_id="org/name", pooling="cls", defaults={"temperature": 0.7})
    assert handler_options(entry) == {"pooling": "cls", "generation_defaults": {"temperature": 0.7}}
    assert handler_options(None) == {}


def test_an_unknown_benchmark_is_wrong_usage(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    request = BenchmarkRequest(("no_such",), settings=replace(SETTINGS, n=1))
    with pytest.raises(InvalidConfiguration, match="no benchmark"):
        benchmark(version(store, tmp_path / "llama"), store, request, clock)
