"""`weighbridge try` and `preload` as a user types them: models that passed the gate, each asked what it is for."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.flows.conftest import DEMO_POLICY
from tests.handlers import tiny
from tests.handlers.test_pretrained import with_code
from tests.services.clamd import signatures
from tests.services.models import smollm2  # noqa: F401 (fixture)
from tests.services.whisper import beckett, whisper  # noqa: F401 (fixtures)
from tests.simulators.openai import OpenAIService
from weighbridge.cli import app
from weighbridge.handlers.loading import open_handler

pytestmark = pytest.mark.xdist_group("torch")
README = "---\nlicense: apache-2.0\n---\n# Tiny\n"
RANKS = README.replace("license", "pipeline_tag: text-ranking\nlicense")


def surround(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("WEIGHBRIDGE_HOME", str(folder / "home"))
    patch.setenv("WEIGHBRIDGE_POLICY", DEMO_POLICY)
    patch.setenv("WEIGHBRIDGE_CLAMAV_DATABASE", str(signatures(folder / "signatures")))
    patch.setenv("WEIGHBRIDGE_REGISTRIES", '["export"]')
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.delenv("MODELS", raising=False)
    patch.chdir(folder)


def taken_in(name: str, source: Path, readme: str = README) -> None:
    target = Path("models", name)
    target.mkdir(parents=True)
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())
    (target / "README.md").write_text(readme)
    assert app.run(["ingest", f"file:{target.absolute()}", "--via", "direct", "--json"]) == 0


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, whisper: Path) -> Path:  # noqa: F811
    """A user's folder, in which models of every kind were taken in."""
    folder = tmp_path_factory.mktemp("user")

    def made(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    embeds = tiny.bert(made("bert"))
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (embeds / "modules.json").write_text(json.dumps(modules))
    (embeds / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (embeds / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.MonkeyPatch.context() as patch:
        surround(patch, folder)
        taken_in("chat", tiny.llama(made("llama")))
        taken_in("sees", tiny.qwen_vl(made("qwen")))
        taken_in("embeds", embeds)
        taken_in("ranks", tiny.bert(made("ranking"), labels=1), RANKS)
        taken_in("hears", whisper)
    return folder


@pytest.fixture
def user(known: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    surround(monkeypatch, known)
    for name in ("models.yaml", "models.local.yaml", "policy.yaml"):
        (known / name).unlink(missing_ok=True)
    return known


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    capsys.readouterr()
    status = app.run([*arguments, "--json"])
    said = capsys.readouterr()
    return status, json.loads(said.out or "null"), said.out + said.err


def test_every_kind_answers_what_it_is_for(
    user: Path,
    capsys: pytest.CaptureFixture[str],
    beckett: Path,  # noqa: F811
) -> None:
    Image.new("RGB", (16, 16), "red").save(user / "photo.png")

    def answer(*arguments: str) -> Any:
        status, said, all_said = run(capsys, "try", *arguments)
        assert status == 0, all_said
        return said["answer"]

    assert answer("chat", "Who are you?", "--max-tokens", "4")
    assert answer("sees", "What is in it?", "--image", "photo.png", "--max-tokens", "4")
    vector = answer("embeds", "a text")
    assert len(vector) == 32
    capsys.readouterr()
    assert app.run(["try", "embeds", "a text"]) == 0
    assert json.loads(capsys.readouterr().out) == pytest.approx(vector), "a program reads numbers"
    ranked = answer("ranks", "a query", "--document", "one", "--document", "another")
    assert sorted(one["document"] for one in ranked) == ["another", "one"]
    assert ranked[0]["score"] >= ranked[1]["score"]
    assert "fail better" in answer("hears", "--sound", str(beckett)).lower()
    timed = answer("hears", "--sound", str(beckett), "--timestamps", "segment", "--language", "en")
    assert timed["parts"][0]["end_s"] > timed["parts"][0]["start_s"]


LONG = "x = [" + ", ".join(map(str, range(90))) + "]\n\tindented\u200b  twice  "


def test_an_answer_is_printed_letter_for_letter(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIService(answer=lambda body: LONG) as service:
        ours = f"handler: weighbridge.handlers.upstream.UpstreamChat, upstream_base_url: '{service.url}'"
        (user / "models.yaml").write_text(
            f"models:\n  - {{name: far, hf_repo_id: o/far, skip_download: true, {ours}}}\n"
        )
        capsys.readouterr()
        assert app.run(["try", "far", "code", "--max-tokens", "999"]) == 0
        assert capsys.readouterr().out == LONG + "\n"


def test_a_terminal_shows_an_answer_while_it_is_written(user: Path) -> None:
    """A line is as long as the model wrote it, `:a:` is no picture, and what steers a terminal is shown as its code."""
    go_on, first, rest = threading.Event(), "long " * 30 + ":a: ", "\x1b[2Jend"

    def written() -> Iterator[dict[str, Any]]:
        yield {"choices": [{"delta": {"content": first}}]}
        assert go_on.wait(60)
        yield {"choices": [{"delta": {"content": rest}}]}
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}]}

    with OpenAIService() as service:
        service.events = written()  # type: ignore[assignment]
        ours = f"handler: weighbridge.handlers.upstream.UpstreamChat, upstream_base_url: '{service.url}'"
        (user / "models.yaml").write_text(
            f"models:\n  - {{name: far, hf_repo_id: o/far, skip_download: true, {ours}}}\n"
        )
        ours_end, theirs = pty.openpty()
        command = [sys.executable, "-m", "weighbridge", "-q", "try", "far", "x"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", "COLUMNS": "80"}
        process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        seen = ""
        while first not in seen:
            seen += os.read(ours_end, 4096).decode()
        assert process.poll() is None
        go_on.set()
        while "end" not in seen:
            seen += os.read(ours_end, 4096).decode()
        assert process.wait(60) == 0
        os.close(ours_end)
    assert seen.count(first) == 1
    assert first + r"\x1b[2Jend" in seen


def test_options_that_do_not_fit_are_refused(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, *options in (
        ("chat", "--document", "x"),
        ("chat", "--language", "en"),
        ("embeds", "--document", "x"),
        ("embeds", "--image", "nowhere.png"),
        ("embeds", "--temperature", "0"),
    ):
        status, said, _ = run(capsys, "try", name, "a text", *options)
        assert status == 64, (name, options)
        assert f"{options[0]} does not fit" in said["error"]["problem"]


def test_options_of_models_yaml_reach_the_model(
    user: Path,
    capsys: pytest.CaptureFixture[str],
    beckett: Path,  # noqa: F811
) -> None:
    (user / "models.yaml").write_text(
        "models:\n"
        "  - name: hears\n    hf_repo_id: org/hears\n    handler: weighbridge.handlers.speech.WhisperSpeech\n"
        "    max_duration_s: 5\n"
    )
    status, said, _ = run(capsys, "try", "org/hears", "--sound", str(beckett))
    assert (status, "longer than 5 seconds" in said["error"]["problem"]) == (64, True)
    (user / "models.yaml").write_text(
        (user / "models.yaml").read_text().replace("max_duration_s: 5", "max_durations: 5")
    )
    status, said, _ = run(capsys, "try", "hears", "--sound", str(beckett))
    assert status == 64
    assert "models.yaml:5: models.0.max_durations" in said["error"]["problem"]


def test_what_cannot_be_asked_is_told(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code, told in (
        (("nobody", "x"), 64, "has no nobody"),
        (("embeds", "x", "--handler", "weighbridge.handlers.chat.TextChat"), 1, "embeds lacks weights"),
    ):
        status, said, _ = run(capsys, "try", *arguments)
        assert status == code
        assert told in said["error"]["problem"]


def test_a_model_elsewhere_is_asked_there(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIService() as service:
        entry = "  - {name: far, hf_repo_id: org/far, skip_download: true, "
        ours = f"handler: weighbridge.handlers.upstream.UpstreamChat, upstream_base_url: '{service.url}', "
        (user / "models.yaml").write_text(f"models:\n{entry}{ours}defaults: {{max_tokens: 2}}}}\n")
        assert run(capsys, "try", "far", "one two three")[1]["answer"] == "one two "
        assert run(capsys, "try", "org/far", "one two three", "--max-tokens", "9")[1]["answer"] == "one two three"
    (user / "models.yaml").write_text(f"models:\n{entry}}}\n")
    assert "names no handler" in run(capsys, "try", "far", "x")[1]["error"]["problem"]


def test_a_models_own_code_runs_only_where_the_policy_names_its_digest(
    user: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waiver = "waivers: [{rule: config.remote-code, files: '*config.json', reason: read by us, by: Ada}]\n"
    (user / "policy.yaml").write_text("extends: minimal\n" + waiver)
    monkeypatch.setenv("WEIGHBRIDGE_POLICY", str(user / "policy.yaml"))
    if not (user / "models" / "coded").exists():
        taken_in("coded", with_code(tmp_path / "coded", user / "ran"))
    digest = run(capsys, "show", "coded")[1]["manifest_digest"]
    wanted = ("try", "coded", "x", "--max-tokens", "2", "--handler", "weighbridge.handlers.chat.TextChat")
    assert run(capsys, *wanted)[0] == 1
    assert not (user / "ran").exists()
    permit = f"loading: [{{manifest: '{digest}', allow: [code], reason: read by us, by: Ada}}]\n"
    (user / "policy.yaml").write_text("extends: minimal\n" + waiver + permit)
    assert run(capsys, *wanted)[0] == 0
    assert (user / "ran").exists()


def test_a_real_gguf_is_converted_once(
    user: Path,
    capsys: pytest.CaptureFixture[str],
    smollm2: dict[str, Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    for name, path in smollm2.items():
        (tmp_path / name).symlink_to(path)
    taken_in("smollm2", tmp_path)
    question = ("try", "smollm2", "What is the capital of France?", "--max-tokens", "12")
    first = run(capsys, *question)[1]["answer"]
    assert "Paris" in first
    (kept,) = (user / "home" / "cache" / "converted").rglob("model.safetensors")
    written = kept.stat().st_mtime_ns
    assert run(capsys, *question)[1]["answer"] == first
    assert kept.stat().st_mtime_ns == written
    assert run(capsys, "fsck")[0] == 0


def test_preload_puts_what_passed_where_a_handler_finds_it(
    user: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(user / "hf"))
    text = "weighbridge.handlers.embedding.TextEmbedding"
    (user / "models.yaml").write_text(
        f"models:\n  - {{name: embeds, hf_repo_id: org/embeds, handler: {text}, pooling: cls, normalize: true}}\n"
        "  - {name: absent, hf_repo_id: org/absent}\n  - {name: gone, hf_repo_id: org/gone}\n"
    )
    monkeypatch.setenv("AUTO_DOWNLOAD_MODELS", "0")
    monkeypatch.setenv("MODELS", "embeds,absent,org/gone")
    status, said, _ = run(capsys, "preload")
    assert (status, said["error"]["facts"]["missing"]) == (1, ["absent", "gone"])
    assert not (user / "hf").exists()
    monkeypatch.setenv("MODELS", "org/embeds")
    assert run(capsys, "preload")[0] == 0
    handler: Any = open_handler(text, "org/embeds", device="cpu", cache_dir=user / "hf" / "hub", pooling="cls")
    assert handler.embed(["a"]).shape == (1, 32)
