"""Trying a model in a child process: what never ends is ended, what fails is told, and what it said is handed back."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from tests.handlers import tiny
from tests.handlers.test_pretrained import with_code
from tests.simulators.openai import OpenAIService
from weighbridge import errors
from weighbridge.errors import HandlerError, InvalidConfiguration
from weighbridge.handlers.trial import Trial, _run, try_model

pytestmark = pytest.mark.xdist_group("torch")
CHAT = "weighbridge.handlers.chat.TextChat"
#: Jinja lets nobody count to more than 100,000; three such loops within each other take years.
ENDLESS = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def trial(folder: Path | str, handler: str = CHAT, **chosen: Any) -> Trial:
    return Trial(handler, str(folder), **{"text": "hello", "device": "cpu", "options": {"name": "tiny"}, **chosen})


def here(wanted: Trial) -> str:
    """Ask in this process, as the child does."""
    answer = _run(asdict(wanted))
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["problem"], answer["remedy"])
    return str(answer["text"])


def children() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if "trial" in " ".join(process.cmdline())]


def test_the_loop_that_never_ends_is_killed(tmp_path: Path) -> None:
    with pytest.raises(HandlerError, match=r"killed after 15 s\. Give it more time"):
        try_model(trial(tiny.llama(tmp_path, template=ENDLESS)), timeout_s=15)
    assert children() == []


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "RecursionError"),
    ],
)
def test_a_template_that_raises_is_told(tmp_path: Path, template: str, told: str) -> None:
    with pytest.raises(HandlerError, match=f"template of tiny fails.*{told}"):
        try_model(trial(tiny.llama(tmp_path, template=template)))


def test_the_models_own_code_does_not_run_in_the_child(tmp_path: Path) -> None:
    folder = with_code(tmp_path / "tried", tmp_path / "ran")
    with pytest.raises(HandlerError):
        try_model(trial(folder))
    assert not (tmp_path / "ran").exists()
    assert try_model(trial(folder, max_tokens=4, options={"name": "tiny", "trust_remote_code": True})) is not None
    assert (tmp_path / "ran").exists()


def test_a_gguf_file_that_declares_too_much_is_ended_or_told(tmp_path: Path) -> None:
    # Magic, version 3, no tensors, one value: the key "k", an array (9) of bytes (0) with 2^40 elements.
    header = (
        b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"k"
    )
    (tmp_path / "a.gguf").write_bytes(header + (9).to_bytes(4, "little") + bytes(4) + (2**40).to_bytes(8, "little"))
    with pytest.raises(HandlerError):
        try_model(trial(tmp_path), timeout_s=20)
    assert children() == []


def test_defaults_of_models_yaml_count_where_nobody_asks_for_else() -> None:
    with OpenAIService() as service:
        options = {"name": "far", "upstream_base_url": service.url}
        options |= {"generation_defaults": {"temperature": 0.7, "max_tokens": 9}}
        far = trial("org/model", "weighbridge.handlers.upstream.UpstreamChat", options=options)
        assert here(far) == "hello"
        assert here(Trial(**{**vars(far), "temperature": 0.0, "top_p": 0.5, "max_tokens": 3})) == "hello"
        asked = [{key: body[key] for key in ("temperature", "top_p", "max_tokens")} for _, body in service.asked]
    assert asked == [
        {"temperature": 0.7, "top_p": 1.0, "max_tokens": 9},
        {"temperature": 0.0, "top_p": 0.5, "max_tokens": 3},
    ]


def test_a_chat_model_is_heard_while_it_writes(tmp_path: Path) -> None:
    pieces: list[str] = []
    whole = try_model(trial(tiny.follower(tmp_path, {"A": "B", "B": "C"}), max_tokens=5), on_text=pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == whole.value == whole.text


def test_a_handler_of_ones_own_answers_by_its_own_generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_polite.py").write_text(
        "from weighbridge.handlers.chat import TextChat\n"
        "class Mine(TextChat):\n"
        "    def generate(self, messages, **options):\n"
        "        found = super().generate(messages, **options)\n"
        "        return type(found)('please: ' + found.text, 1, 1)\n"
    )
    folder = tiny.follower(tmp_path / "model", {})
    assert here(trial(folder, "own_polite.Mine", max_tokens=3)) == "please: AAA"


def test_ranked_documents_have_their_text_whoever_ranks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_ranks.py").write_text(
        "from weighbridge.handlers.interface import RerankResult\n"
        "class Mine:\n    capabilities = ['rerank']\n"
        "    def __init__(self, *a, **k): ...\n"
        "    def rerank(self, query, documents, **options): return [RerankResult(1, 0.5), RerankResult(0, 0.25)]\n"
    )
    assert here(trial("x", "own_ranks.Mine", documents=("one", "two"))) == "0.5000  two\n0.2500  one"


def test_images_go_into_the_message(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    with OpenAIService() as service:
        options = {"name": "far", "upstream_base_url": service.url}
        far = "weighbridge.handlers.upstream.UpstreamChat"
        assert here(trial("org/model", far, images=(str(tmp_path / "a.png"),), options=options))
        image, text = service.asked[0][1]["messages"][0]["content"]
        with pytest.raises(HandlerError, match="cannot be read"):
            here(trial("org/model", far, images=("/dev/zero",), options=options))
    kind, _, content = image["image_url"]["url"].partition(";base64,")
    assert (kind, text) == ("data:image/png", {"type": "text", "text": "hello"})
    assert base64.b64decode(content) == (tmp_path / "a.png").read_bytes()


def test_what_was_asked_of_the_wrong_model_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    folder = tiny.llama(tmp_path / "llama")
    with pytest.raises(HandlerError, match="reads no images"):
        here(trial(folder, images=(str(tmp_path / "a.png"),)))
    with pytest.raises(HandlerError, match="takes a prompt"):
        here(trial(folder, text="", sound="a.wav"))
    with pytest.raises(InvalidConfiguration, match="takes no pooling"):
        here(trial(folder, options={"pooling": "cls"}))


def test_a_handler_that_kills_its_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_aborts.py").write_text(
        "import os\nclass Mine:\n    capabilities = ['chat-completion']\n"
        "    def __init__(self, *a, **k): os.abort()\n    def generate(self): ...\n    def count_tokens(self): ...\n"
    )
    with pytest.raises(HandlerError, match="SIGABRT"):
        try_model(trial("x", "own_aborts.Mine"))
