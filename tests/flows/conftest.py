"""A home with a small model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.clamd import signatures
from tests.services.postgresql import postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]

HEADER = b'{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
SHIPPED = {
    "model.safetensors": len(HEADER).to_bytes(8, "little") + HEADER + bytes(range(16)),
    "config.json": b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}',
    "README.md": b"---\nlicense: apache-2.0\n---\n# A tiny model\n",
}
DEMO_POLICY = str(Path(__file__).parents[2] / "deployments" / "demo" / "policy.yaml")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with Weighbridge's state in `home`; the working directory, whose models others may ask for."""
    environment = {
        "HOME": str(tmp_path / "home"),
        "POLICY": DEMO_POLICY,
        "CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        "REGISTRIES": '["export"]',
        "FILE_ROOTS": json.dumps([str(tmp_path)]),
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model(folder: Path, name: str = "tiny", **files: bytes) -> str:
    """Write a model that passes, plus `files`, and return its URI."""
    target = folder / name
    target.mkdir(exist_ok=True)
    for path, content in (SHIPPED | {key.replace("__", "."): value for key, value in files.items()}).items():
        (target / path).write_bytes(content)
    return f"file:{target}"
