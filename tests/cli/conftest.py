"""What the tests of the command line share: one user with a home, and a small model that passes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.clamd import signatures
from weighbridge.cli import app

HEADER = b'{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(range(16))
CONFIG = b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048}'
README = b"---\nlicense: apache-2.0\n---\n# A tiny model\n"
SHIPPED = {"model.safetensors": SAFETENSORS, "config.json": CONFIG, "README.md": README}


@dataclass
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Bench:
    """One user with a home of his own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.home = folder / "home"

    def run(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        status = app.run(list(arguments))
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Ran(status, captured.out, captured.err)

    def model(self, name: str = "tiny", **files: bytes) -> str:
        target = self.folder / name
        target.mkdir(exist_ok=True)
        for path, content in (SHIPPED | {key.replace("__", "."): value for key, value in files.items()}).items():
            (target / path).write_bytes(content)
        return f"file:{target}"

    def blobs(self) -> set[str]:
        return {path.name for path in (self.home / "store" / "blobs").rglob("*") if path.is_file()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    environment = {
        "HOME": str(tmp_path / "home"),
        "POLICY": str(tmp_path / "gate.yaml"),
        "CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        "REGISTRIES": '["export"]',
        "CATALOG_TIMEOUT_S": "2",
    }
    (tmp_path / "gate.yaml").write_text(
        "name: house\nextends: minimal\nrequired: [archives, clamav, formats, pickles]\nlicence: {unknown: ignore}\n"
    )
    for name, value in environment.items():
        monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path, capsys)
