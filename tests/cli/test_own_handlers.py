"""Handlers of a user's own, as the guide to models shows them, with our values alone: through every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.cli.test_try import README, surround
from tests.handlers import tiny
from weighbridge.cli import app

pytestmark = pytest.mark.xdist_group("torch")
#: As the guide has them: attributes declared without a value, options by name, files local alone.
MADE = """
    name: str
    device: str

    def __init__(self, hf_repo_id, device, cache_dir=None, **kwargs):
        self.name = kwargs.get("name", hf_repo_id)
        self.device = device
"""
LOADS = """
        from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
        kind = AutoModelForCausalLM if hasattr(self, "generate") else AutoModel
        self.tokenizer = AutoTokenizer.from_pretrained(hf_repo_id, cache_dir=cache_dir, local_files_only=True)
        self.model = kind.from_pretrained(hf_repo_id, cache_dir=cache_dir, local_files_only=True).to(device).eval()
"""
HANDLERS = f"""
from __future__ import annotations
from weighbridge.handlers.interface import ChatGeneration, RerankResult, SpeechResult

class Embeds:
    capabilities = ["text-embedding"]
    dim: int
{MADE}{LOADS}
        self.dim = self.model.config.hidden_size

    def embed(self, texts, cancel_event=None):
        inputs = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(self.device)
        return self.model(**inputs).last_hidden_state.mean(dim=1).detach().cpu().numpy()

    def count_tokens(self, texts):
        return sum(len(self.tokenizer.encode(text)) for text in texts)

class Chats:
    capabilities = ["chat-completion"]
{MADE}{LOADS}
    def generate(self, messages, *, max_new_tokens, temperature, top_p, stop=None, cancel_event=None):
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        inputs = self.tokenizer(text, return_tensors="pt").to(self.device)
        drawn = dict(do_sample=True, temperature=temperature, top_p=top_p) if temperature > 0 else dict(do_sample=False)
        (row,) = self.model.generate(**inputs, max_new_tokens=max_new_tokens, **drawn)
        start = inputs["input_ids"].shape[1]
        answer = self.tokenizer.decode(row[start:], skip_special_tokens=True)
        return ChatGeneration(text=answer, prompt_tokens=start, completion_tokens=len(row) - start)

    def count_tokens(self, messages, *, add_generation_prompt=True):
        return len(self.tokenizer.apply_chat_template(messages, add_generation_prompt=add_generation_prompt))

class Hears:
    capabilities = ["audio-transcription"]
{MADE}
    def transcribe(
        self, audio_path, *, language, prompt, temperature, task, timestamp_granularity, cancel_event=None
    ):
        return SpeechResult(f"{{task}} in {{language}}", language, 1.0)

class Ranks:
    capabilities = ["rerank"]
{MADE}
    def rerank(self, query, documents, *, top_k=None, cancel_event=None):
        found = [RerankResult(place, float(text.count(query))) for place, text in enumerate(documents)]
        return sorted(found, key=lambda one: -one.score)[:top_k]
"""
MODELS = {
    "chat": ("Chats", tiny.llama, ("memory",)),
    "embedding": ("Embeds", tiny.bert, ("embedding_rate",)),
    "speech": ("Hears", tiny.bert, ("speech_rate",)),
    "ranking": ("Ranks", tiny.bert, ("rerank_rate",)),
}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with four models, each of which a class of the user's own loads."""
    surround(monkeypatch, tmp_path)
    repository = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{repository}")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "guided_handlers.py").write_text(HANDLERS)
    entries = ["models:"]
    for number, (name, (kind, make, _)) in enumerate(MODELS.items()):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        make(folder)
        (folder / "README.md").write_text(f"{README}{number}")  # Each has bytes of its own.
        entries += [f"  - name: my-{name}", f"    source: 'file:{folder}'", f"    handler: guided_handlers.{kind}"]
        entries += ["    defaults: {temperature: 0.7, max_tokens: 4}"] if name == "chat" else []
    (tmp_path / "models.yaml").write_text("models: []\n")
    (tmp_path / "models.local.yaml").write_text("\n".join(entries))
    soundfile.write(tmp_path / "speech.wav", np.full(16_000, 0.1), 16_000)
    return tmp_path


def test_they_go_through_every_command(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        found = app.run([*arguments, "--json"])
        said = capsys.readouterr()
        assert found == status, said.out + said.err
        return json.loads(said.out)

    run("sync", "--via", "direct")
    assert isinstance(run("try", "my-chat", "hello")["answer"], str)
    assert len(run("try", "my-embedding", "hello")["answer"]) == 32
    assert run("try", "my-speech", "--sound", "speech.wav", "--language", "de")["answer"] == "transcribe in de"
    ranked = run("try", "my-ranking", "b", "--document", "aa", "--document", "bb")["answer"]
    assert ranked[0] == {"index": 1, "score": 2.0, "document": "bb"}
    few = ("-n", "2", "--prompt-tokens", "4", "--output-tokens", "2", "--device", "cpu", "--data", "speech=speech.wav")
    for name, (_, _, measured) in MODELS.items():
        results = run("benchmark", f"my-{name}", *few)
        assert [(one["benchmark"], one["failure"]) for one in results] == [(one, "") for one in measured]
        assert [one["benchmark"] for one in run("results", f"my-{name}")] == list(measured)
        metric = results[0]["metrics"][0]["name"]
        assert run("results", f"my-{name}", "--explain", metric)[0]["settings"]["handler"].startswith(
            "guided_handlers."
        )
    rows = run("leaderboard")
    assert {(row["benchmark"], row["name"], row["rank"]) for row in rows} == {
        (measured[0], f"my-{name}", 1) for name, (_, _, measured) in MODELS.items()
    }
    for name in MODELS:
        assert run("versions", f"my-{name}")[0]["status"] == "PASSED"
        run("export", f"my-{name}", f"out-{name}")
        assert (user / f"out-{name}" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("name", "benchmark", "told"),
    [
        ("chat", "inference_latency", "needs the method complete or stream"),
        ("chat", "embedding_rate", "measures text-embedding"),
        ("embedding", "mmlu", "measures chat-completion"),
        ("speech", "memory", "measures chat-completion"),
        ("ranking", "speech_rate", "measures audio-transcription"),
    ],
)
def test_what_they_cannot_do_is_refused_before_anything_runs(
    user: Path, capsys: pytest.CaptureFixture[str], name: str, benchmark: str, told: str
) -> None:
    assert app.run(["ingest", f"file:{user / 'models' / name}", "--name", f"my-{name}", "--via", "direct"]) == 0
    (user / "guided_handlers.py").write_text(HANDLERS + "\nraise SystemExit('somebody ran it')\n")
    capsys.readouterr()
    assert app.run(["benchmark", f"my-{name}", "-b", benchmark, "--json"]) == 64
    assert told in json.loads(capsys.readouterr().out)["error"]["problem"]
