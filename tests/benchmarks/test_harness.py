"""mmlu and lm_eval: lm-eval's own tasks on documents of ours, from a Hub or from files, and what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import datasets
import pytest
import torch

from tests.benchmarks import documents
from tests.handlers import tiny
from tests.simulators.hub import Hub
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.child import Work, run_in_child
from weighbridge.benchmarks.harness import LmEval, Mmlu, metric_of
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.domain.result import INSUFFICIENT, BenchmarkResult, Interval
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.upstream import UpstreamChat

pytestmark = pytest.mark.xdist_group("torch")
SUBJECTS = ("anatomy", "virology")
#: Those of the group mmlu_other.
OTHER = [
    *("business_ethics", "clinical_knowledge", "college_medicine", "global_facts", "human_aging", "management"),
    *("marketing", "medical_genetics", "miscellaneous", "nutrition", "professional_accounting"),
    *("professional_medicine", "virology"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("llama"), max_position_embeddings=2048)


@pytest.fixture(scope="module")
def chat(model: Path) -> TextChat:
    return TextChat(str(model), "cpu", name="tiny")


def child(model: Path, benchmark: str, settings: BenchmarkSettings) -> BenchmarkResult:
    digest = "sha256:" + "a" * 64
    work = Work(benchmark, "weighbridge.handlers.chat.TextChat", str(model), digest, "cpu", {"name": "tiny"}, settings)
    return run_in_child(work, lambda: datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module", autouse=True)
def unreachable(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[BenchmarkResult]]:
    """A run whose Hub is gone: `datasets` asks it again and again for half a minute, so that it begins first."""
    with Hub() as hub:
        gone = hub.url
    chosen = BenchmarkSettings(tasks=("arc_easy",), endpoint=gone, timeout_s=240)
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        yield pool.submit(child, model, "lm_eval", chosen)


def own(folder: Path, *subjects: str) -> BenchmarkSettings:
    """Return settings that take subjects of mmlu from files."""
    data = {f"mmlu_{name}": documents.lines(folder / f"{name}.jsonl", documents.questions(name)) for name in subjects}
    return BenchmarkSettings(tasks=tuple(data), data=data, batch_sizes=(4,))


def values(found: Measured | BenchmarkResult) -> dict[str, float | None]:
    return {metric.name: metric.value for metric in found.metrics}


def test_a_hubs_documents_are_measured_like_those_of_a_folder(model: Path, chat: TextChat, tmp_path: Path) -> None:
    """test_lm_eval_command compares those of a folder with lm-eval's own command."""
    names, files = tuple(f"mmlu_{name}" for name in SUBJECTS), documents.mmlu(SUBJECTS, 12)
    chosen = BenchmarkSettings(tasks=names, shots=2, batch_sizes=(4,), timeout_s=240)
    with Hub() as hub, ThreadPoolExecutor(1) as pool:
        hub.add("cais/mmlu", files, kind="datasets")
        running = pool.submit(child, model, "mmlu", replace(chosen, endpoint=hub.url))
        folder = str(documents.write(tmp_path / "mmlu", files))
        expected = Mmlu().run(chat, replace(chosen, data=dict.fromkeys(names, folder)), threading.Event())
        found = running.result()
    assert (found.failure, found.metrics, found.samples) == ("", expected.metrics, expected.samples)
    assert expected.settings.items() <= found.settings.items()
    assert set(found.settings["shots"].values()) == {2}
    assert 0 < sum(sum(counted) for counted in found.samples.values()) < 24


def test_a_group_counts_all_of_its_documents_together(chat: TextChat, tmp_path: Path) -> None:
    folder = documents.write(tmp_path / "mmlu", documents.mmlu(OTHER, 3))
    chosen = BenchmarkSettings(tasks=("mmlu_other",), data={"mmlu_other": str(folder)}, limit=2)
    found = Mmlu().run(chat, chosen, threading.Event())
    whole, *subjects = found.metrics
    assert (whole.name, whole.n) == ("accuracy", 26)
    assert {metric.n for metric in subjects} == {2}
    assert whole.value == pytest.approx(sum(metric.value or 0 for metric in subjects) / 13)


def test_files_may_hold_the_documents(chat: TextChat, tmp_path: Path) -> None:
    chosen = own(tmp_path, *SUBJECTS)
    whole = Mmlu().run(chat, chosen, threading.Event())
    limited = Mmlu().run(chat, replace(chosen, limit=3), threading.Event())
    assert set(values(whole)) == {"accuracy/mmlu_anatomy", "accuracy/mmlu_virology"}
    assert [metric.n for metric in limited.metrics] == [3, 3]
    assert limited.samples["acc/mmlu_anatomy"] == whole.samples["acc/mmlu_anatomy"][:3]
    assert whole.settings["documents"] != limited.settings["documents"]
    assert (whole.settings["batch_size"], whole.settings["chat_template"], whole.noisy) == (4, False, "")


def test_the_same_documents_are_the_same_wherever_they_lie(chat: TextChat, tmp_path: Path) -> None:
    folder = documents.write(tmp_path / "mmlu", documents.mmlu(SUBJECTS))
    chosen = own(tmp_path, "anatomy")
    from_file = Mmlu().run(chat, chosen, threading.Event())
    from_folder = Mmlu().run(chat, replace(chosen, data={"mmlu_anatomy": str(folder)}), threading.Event())
    assert from_file.settings == from_folder.settings
    assert from_file.metrics == from_folder.metrics
    assert [metric.name for metric in from_file.metrics] == ["accuracy"]


def test_a_folder_that_has_other_documents_now_is_read_anew(chat: TextChat, tmp_path: Path) -> None:
    """`datasets` would take them for what it read of any folder with this name and README."""
    for count in (5, 7):
        folder = documents.write(tmp_path / "mmlu", documents.mmlu(SUBJECTS, count))
        chosen = BenchmarkSettings(tasks=("mmlu_virology",), data={"mmlu_virology": str(folder)})
        (metric,) = Mmlu().run(chat, chosen, threading.Event()).metrics
        assert metric.n == count
    assert list(Path(datasets.config.HF_DATASETS_CACHE).glob(".weighbridge-*")) == []


def test_a_file_gives_the_examples_too_and_never_the_document_that_is_asked(chat: TextChat, tmp_path: Path) -> None:
    chosen = replace(own(tmp_path, "anatomy"), shots=4)
    assert Mmlu().run(chat, chosen, threading.Event()).settings["shots"] == {"mmlu_anatomy": 4}
    with pytest.raises(HandlerError, match="fails with tiny"):  # Of five documents four are others.
        Mmlu().run(chat, replace(chosen, shots=5), threading.Event())


YAML = """
task: arithmetic_of_ours
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 3.1}
"""


def task_file(folder: Path, text: str = YAML, **changes: str) -> BenchmarkSettings:
    """Return settings that take a task from a file of the user's own."""
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / "task.yaml"
    path.write_text(text.replace("FILE", documents.lines(folder / "documents.jsonl", documents.questions("sums"))))
    return BenchmarkSettings(tasks=("arithmetic_of_ours",), data={"arithmetic_of_ours": str(path)})


def test_a_task_of_the_users_own_is_told_by_its_version_and_its_digest(chat: TextChat, tmp_path: Path) -> None:
    found = LmEval().run(chat, task_file(tmp_path), threading.Event())
    assert [(metric.name, metric.n) for metric in found.metrics] == [("acc", 5)]
    assert found.settings["versions"] == {"arithmetic_of_ours": "3.1"}
    assert found.settings["task_files"]["arithmetic_of_ours"].startswith("sha256:")


def test_any_task_of_lm_eval_is_found_by_its_name(chat: TextChat, tmp_path: Path) -> None:
    labels = list("ABCD")
    asked = [
        {
            "id": str(n),
            "question": f"Which is {n}?",
            "choices": {"text": list("pqrs"), "label": labels},
            "answerKey": "B",
        }
        for n in range(4)
    ]
    texts = [{"page": f" = Title = \n\n Text number {n} goes on and on . \n"} for n in range(3)]
    data = {
        "arc_easy": documents.lines(tmp_path / "arc.jsonl", asked),
        "wikitext": documents.lines(tmp_path / "wikitext.jsonl", texts),
    }
    found = LmEval().run(chat, BenchmarkSettings(tasks=tuple(data), data=data), threading.Event())
    metrics = {metric.name: metric for metric in found.metrics}
    assert {"acc/arc_easy", "acc_norm/arc_easy", "word_perplexity/wikitext"} <= metrics.keys()
    assert metrics["acc_norm/arc_easy"].n == 4
    perplexity = metrics["word_perplexity/wikitext"]
    assert perplexity.better == "lower"
    assert perplexity.value is not None
    assert perplexity.value > 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tasks": ()}, "No task"),
        ({"tasks": ("no_such_task",)}, "no task “no_such_task”"),
        ({"tasks": ("humaneval",)}, "runs code that the model wrote"),
        ({"tasks": ("mbpp",)}, "runs code that the model wrote"),
        ({"data": {"arithmetic_of_ours": "/no/such.yaml"}}, "not a task of lm-eval"),
        ({"tasks": ("arc_easy",), "data": {"arc_easy": "/no/such.jsonl"}}, "may be a file"),
        ({"tasks": ("arc_easy",), "data": {"arc_easy": __file__}}, "may be a file"),
        ({"shots": 2}, "no examples besides the documents to answer"),
        ({"endpoint": "http://127.0.0.1:9"}, "not from http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_measured_is_told(chat: TextChat, tmp_path: Path, change: dict[str, object], told: str) -> None:
    with pytest.raises(BenchmarkFailed, match=told):
        LmEval().run(chat, replace(task_file(tmp_path), **change), threading.Event())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("task: arithmetic_of_ours", "task: another", "has no task “arithmetic_of_ours”"),
        ("metric_list", "unsafe_code: true\nmetric_list", "runs code that the model wrote"),
        ("{{question}}", "{{no_such_field}}", "no_such_field"),
        ("documents.jsonl", "no_such.jsonl", "cannot be loaded"),
        ("output_type", ": [", "not a task of lm-eval"),
    ],
)
def test_a_task_file_that_is_none_is_told(chat: TextChat, tmp_path: Path, old: str, new: str, told: str) -> None:
    chosen = task_file(tmp_path)
    path = tmp_path / "task.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BenchmarkFailed, match=told):
        LmEval().run(chat, chosen, threading.Event())


def test_a_group_of_the_users_own_cannot_hide_code_that_a_model_wrote(chat: TextChat, tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text("group: hidden\ntask:\n- group: inner\n  task: [{task: mbpp}]\n")
    chosen = BenchmarkSettings(tasks=("hidden",), data={"hidden": str(tmp_path / "group.yaml")})
    with pytest.raises(BenchmarkFailed, match="The task mbpp runs code"):
        LmEval().run(chat, chosen, threading.Event())


def test_a_name_that_is_a_path_reads_no_file(chat: TextChat, tmp_path: Path) -> None:
    name = str(tmp_path / "evil")
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "task.yaml").write_text(f"task: {name}\ndoc_to_text: !function ran.ran\n")
    (tmp_path / "evil" / "ran.py").write_text(f"open({str(tmp_path / 'proof')!r}, 'w').close()\ndef ran(): ...\n")
    for path in (name, f"{name}/task.yaml"):
        with pytest.raises(BenchmarkFailed, match="is not the name of a task"):
            LmEval().run(chat, BenchmarkSettings(tasks=(path,)), threading.Event())
    assert not (tmp_path / "proof").exists()


def test_only_subjects_of_mmlu_are_mmlu(chat: TextChat, tmp_path: Path) -> None:
    for name in ("mmlu_pro", "arc_easy", "mmlu_no_such"):
        with pytest.raises(BenchmarkFailed, match="not part of mmlu"):
            Mmlu().run(chat, BenchmarkSettings(tasks=(name,)), threading.Event())
    one = own(tmp_path, "anatomy").data["mmlu_anatomy"]
    with pytest.raises(BenchmarkFailed, match="group of 57 tasks"):
        Mmlu().run(chat, BenchmarkSettings(data={"mmlu": one}), threading.Event())


def test_a_service_gives_no_likelihoods(tmp_path: Path) -> None:
    with OpenAIService() as service, pytest.raises(BenchmarkFailed, match="only answers messages"):
        Mmlu().run(UpstreamChat("m", upstream_base_url=service.url), own(tmp_path, "anatomy"), threading.Event())


@pytest.mark.parametrize("place", [-1, -2])
def test_a_model_that_computes_nan_is_refused(model: Path, tmp_path: Path, place: int) -> None:
    """An answer is two tokens of the tiny tokenizer's: both of their likelihoods count."""
    broken = TextChat(str(model), "cpu", name="broken")

    def spoil(module: torch.nn.Module, inputs: object, logits: torch.Tensor) -> None:
        logits[0, place, 7] = float("nan")

    broken.model.lm_head.register_forward_hook(spoil)
    with pytest.raises(HandlerError, match="computes NaN"):
        Mmlu().run(broken, own(tmp_path, "anatomy"), threading.Event())


def test_a_cancelled_run_ends(chat: TextChat, tmp_path: Path) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        Mmlu().run(chat, own(tmp_path, "anatomy"), event)


def test_prompts_longer_than_the_context_are_counted(tmp_path: Path) -> None:
    short = TextChat(str(tiny.llama(tmp_path / "short")), "cpu", name="short")
    short.model.config.max_position_embeddings = 128
    found = Mmlu().run(short, own(tmp_path, "anatomy"), threading.Event())
    assert found.noisy == "20 prompts are longer than the model's context, and lost their beginning"
    assert found.metrics[0].n == 5


def test_a_hub_without_the_data_or_with_code_is_a_failure(model: Path, tmp_path: Path) -> None:
    metric = "metric_list: [{metric: bleurt_of_the_hub, aggregation: mean, higher_is_better: true, hf_evaluate: true}]"
    coded = task_file(tmp_path, YAML[: YAML.index("metric_list")] + metric + "\n")
    with Hub() as hub, ThreadPoolExecutor(2) as pool:
        hub.add("spaces/evaluate-metric", {"bleurt_of_the_hub.py": b"raise SystemExit"})
        lacking = BenchmarkSettings(tasks=("arc_challenge",))
        runs = [
            pool.submit(child, model, "lm_eval", replace(chosen, endpoint=hub.url, timeout_s=240))
            for chosen in (lacking, coded)
        ]
        without, with_code = (run.result().failure for run in runs)
        assert [request.path for request in hub.requests if "bleurt" in request.path] == []
    assert without.startswith("arc_challenge cannot be loaded: DatasetNotFoundError")
    assert hub.url in without
    assert "measured nothing" in with_code


def test_a_hub_that_is_gone_is_a_failure(unreachable: Future[BenchmarkResult]) -> None:
    found = unreachable.result()
    assert found.failure.startswith("arc_easy cannot be loaded: ConnectionError")
    assert "settings: data" in found.failure
    assert found.metrics == ()


def test_what_counts_0_or_1_has_wilsons_interval() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    known = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), (low, high) in known.items():
        samples = [1.0] * successes + [0.0] * (n - successes)
        found = metric_of("acc", successes / n, samples, 0.5, "higher", n)
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == (
            pytest.approx(low, abs=5e-5),
            pytest.approx(high, abs=5e-5),
        )


def test_what_is_no_share_has_lm_evals_standard_error() -> None:
    found = metric_of("f1", 0.5, [], 0.1, "higher", 20)
    assert (found.value, found.n, found.interval) == (0.5, 20, Interval(0.304, 0.696))
    # A mean that weighs its documents is no share of them, even if each counts 0 or 1.
    assert metric_of("acc", 0.75, [0.0, 1.0], 0.1, "higher", 2).interval == Interval(0.554, 0.946)


def test_documents_that_all_count_the_same_are_no_certainty() -> None:
    """lm-eval's standard error of them is 0 (EleutherAI/lm-evaluation-harness#4070, #3966)."""
    few, many = (metric_of("f1", 0.5, [0.5] * n, 0.0, "higher", n).interval for n in (2, 2000))
    assert few is not None
    assert many is not None
    assert few.low < 0.1 < 0.9 < few.high
    assert 0.47 < many.low < 0.5 < many.high < 0.53
    unknown = metric_of("bleu", 31.0, [], 0.0, "higher", 20)
    assert (unknown.interval, unknown.reason) == (None, INSUFFICIENT)


def test_no_interval_of_shares_leaves_what_can_be() -> None:
    found = metric_of("f1", 0.9, [0.8, 1.0], 0.1, "higher", 2).interval
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.704), 1.0)


@pytest.mark.parametrize("error", [None, "N/A", float("nan")])
def test_a_value_without_an_error_has_no_interval(error: object) -> None:
    found = metric_of("f1", 0.5, [], error, "lower", 1)
    assert (found.value, found.interval, found.reason, found.better) == (0.5, None, INSUFFICIENT, "lower")
