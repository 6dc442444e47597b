import sys
from pathlib import Path

import pytest

from weighbridge.content import confinement, sandbox
from weighbridge.content.sandbox import Limits, read


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that the child imports as the reader `gguf`; the test writes it."""
    package = tmp_path / "root" / "weighbridge"
    (package / "content" / "headers").mkdir(parents=True)
    for name in ("__init__.py", "content/__init__.py", "content/headers/__init__.py"):
        (package / name).write_text("")
    for module in (sandbox, confinement):
        (package / "content" / Path(module.__file__).name).write_text(Path(module.__file__).read_text())
    monkeypatch.setattr(sandbox, "__file__", str(package / "content" / "sandbox.py"))
    return package / "content" / "headers" / "gguf.py"


def test_the_answer_comes_back(reader: Path) -> None:
    reader.write_text("def walk_file(path): return {'read': path.name}")
    assert read("gguf", Path("/dev/null")).answer == {"read": "null"}


def test_the_child_knows_none_of_our_secrets(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    reader.write_text("import os\ndef walk_file(path): return {'token': os.environ.get('HF_TOKEN')}")
    assert read("gguf", Path("/dev/null")).answer == {"token": None}


@pytest.mark.parametrize(
    ("body", "limits", "reason"),
    [
        ("while True: pass", Limits(cpu_time_s=1), "1 s of processor time"),
        ("import time; time.sleep(60)", Limits(wall_time_s=0.5), "longer than 0.5 s"),
        ("raise ValueError(path)", Limits(), "broke the reader"),
        ("import os; os.abort()", Limits(), "ended with code -6"),
        ("return {'a': 'x' * 100_000}", Limits(output_size=1000), "more than the reader may answer"),
        ("return [1]", Limits(), "gave no answer"),
    ],
)
def test_a_child_that_fails_is_a_reason(reader: Path, body: str, limits: Limits, reason: str) -> None:
    reader.write_text(f"def walk_file(path):\n    {body}")
    found = read("gguf", Path("/dev/null"), limits)
    assert found.answer is None
    assert reason in found.reason


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS sets no limit on address space")
def test_a_child_that_wants_too_much_memory_is_a_reason(reader: Path) -> None:
    reader.write_text("def walk_file(path):\n    return {'a': len(bytearray(1024 ** 3))}")
    assert "more than 512 MiB" in read("gguf", Path("/dev/null"), Limits(memory_size=512 * 1024**2)).reason


@pytest.mark.skipif(sys.platform != "linux", reason="by means of Linux")
def test_the_child_has_no_network_and_sees_the_file_it_reads_only(tmp_path: Path) -> None:
    (path := tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert read("probe", path).answer == {"network": False, "files": False}
    assert confinement.probe(path) == {"network": True, "files": True}
