"""An installation with one version that passed, its files in a folder, and a key: what attestations are tried on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.catalog.values import CARD, decision, digest, report
from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.attestations import PAYLOAD_TYPE
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.intake.attesting import Attestation, AttestationProof, AttestationRequest, export, verify
from weighbridge.signing.envelopes import signed
from weighbridge.signing.keys import AttestationKey, made_key, own_key

FILES = {"config.json": b"{}", "sub/größe ½.safetensors": b"weights", "a b+c%20.txt": b""}
NAME = "org/name"


class Ticking:
    """A clock that goes on by a minute whenever it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@dataclass
class Place:
    """An installation with one version that passed, and its files in a folder."""

    settings: Settings
    catalog: Catalog
    folder: Path

    @property
    def version(self) -> ModelVersion:
        found = self.catalog.get(NAME)
        assert found is not None
        return found

    @property
    def key(self) -> AttestationKey:
        key = own_key(self.settings.folder)
        assert key is not None
        return key

    def export(self, step: str = "") -> Attestation:
        return export(self.version, self.catalog, self.settings, step)

    def verify(self, content: bytes, *, folder: Path | None = None, **request: Any) -> AttestationProof:
        file = self.settings.folder / "attested.jsonl"
        file.write_bytes(content)
        where = str(folder) if folder is not None else ""
        return verify(AttestationRequest(str(file), where, **request), self.settings, Silent())

    def resigned(self, change: Callable[[list[dict[str, Any]]], None], *, named: bool = False) -> bytes:
        """Return what is exported, with statements changed and signed again by the trusted key.

        Args:
            change: what changes them.
            named: whether the summary names the statements as they are then.
        """
        values = [json.loads(one.content) for one in self.export().statements]
        change(values)
        if named:
            for at, value in enumerate(values[1:]):
                values[0]["predicate"]["inputAttestations"][at]["digest"] = {"sha256": digest(written(value)).hex}
        return b"\n".join(signed(written(value).encode(), PAYLOAD_TYPE, self.key) for value in values)


def written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def failed(proof: AttestationProof) -> list[str]:
    assert proof.verified == (not [check for check in proof.checks if not check.passed])
    return [check.name for check in proof.checks if check.passed is False]


@contextmanager
def attested_place(home: Path) -> Iterator[Place]:
    """Yield the installation, with the model's files in the folder `model` below its home."""
    entries = tuple(FileEntry(path, len(content), digest(content.decode())) for path, content in FILES.items())
    reports = (report(), report(scanner="pickles"), replace(report("{}", status="skipped"), reason="not applicable"))
    with Catalog.open(f"sqlite:///{home}/catalog.db", Ticking()) as catalog:
        source, ref = "hf:org/name@" + "a" * 40, ModelRef("huggingface", NAME, "a" * 40)
        catalog.settle_version(
            NAME, source, Manifest(ref, entries), CARD, decision("PASSED", reports), reports, lambda _: "1.0.0"
        )
        made_key(home)
        yield Place(Settings(home=home), catalog, lay_out(home / "model"))


def lay_out(folder: Path) -> Path:
    """Write the model's files into a folder, and return it."""
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
