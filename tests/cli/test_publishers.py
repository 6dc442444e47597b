"""Signatures of publishers through the command line: demanded, broken, judged again by another policy."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import SHIPPED, Bench
from tests.content.model_signatures.signing import publisher, signed


def _policy(bench: Bench, *entries: str) -> None:
    lines = ("extends: minimal", "required: [archives, clamav, formats, pickles]", "licence: {unknown: ignore}")
    signatures = ("signatures:", *(f"  - {entry}" for entry in entries))
    (bench.folder / "gate.yaml").write_text("\n".join((*lines, *signatures)))


def _rejections(bench: Bench, *arguments: str) -> list[str]:
    ran = bench.run(*arguments, "--json")
    found = json.loads(ran.out)
    rules = [one["rule"] for one in found["decision"]["reasons"] if one["effect"] == "reject"]
    assert (ran.status, found["status"]) == ((2, "FAILED") if rules else (0, "PASSED"))
    return rules


def test_a_policy_demands_a_signature_and_a_later_one_judges_without_reading_weights(bench: Bench) -> None:
    team, other = publisher(bench.folder, "team"), publisher(bench.folder, "other")
    (place := bench.folder / "signing").mkdir()
    signature = signed(place, SHIPPED, team, lambda config: config.use_shard_serialization(shard_size=16))
    uri = bench.model("tiny", model__sig=signature)
    _policy(bench, '{source: "file:*", key: team.pub}')
    assert _rejections(bench, "ingest", uri) == []
    assert _rejections(bench, "scan", str(bench.folder / "tiny")) == []
    told = json.loads(bench.run("bom", "tiny").out)["annotations"]
    assert any("model.sig is signed by the key" in one["text"] and "over 3 files" in one["text"] for one in told)
    # Another key: what was found out before is kept, and the signature alone is read.
    (weights,) = (one for one in _blobs(bench) if one.read_bytes() == SHIPPED["model.safetensors"])
    weights.chmod(0o644)
    weights.write_bytes(bytes(len(SHIPPED["model.safetensors"])))  # Whoever reads it again finds other shards.
    _policy(bench, '{source: "file:*", key: other.pub}')
    assert _rejections(bench, "ingest", uri) == ["publisher.untrusted"]
    weights.write_bytes(SHIPPED["model.safetensors"])
    weights.chmod(0o444)
    _policy(bench, '{source: "file:*", key: other.pub}', '{source: "FILE:*/tiny", key: team.pub}')
    assert _rejections(bench, "ingest", uri) == []
    _policy(bench, '{source: "hf:*", key: other.pub}')
    assert _rejections(bench, "ingest", uri) == [], "another source"
    # Other bytes, and no signature.
    changed = bench.model("changed", model__sig=signature, README__md=b"# Another model\n")
    assert _rejections(bench, "ingest", changed) == ["publisher.mismatch"], "nobody asked for it, and it is broken"
    _policy(bench, '{source: "file:*", key: team.pub}')
    assert _rejections(bench, "ingest", bench.model("plain")) == ["publisher.missing"]
    shown = bench.run("policy", "show").out
    assert "signatures of publishers" in shown
    assert "file:*: the key" in shown
    assert other.public.exists()


def _blobs(bench: Bench) -> list[Path]:
    return [path for path in (bench.home / "store" / "blobs").rglob("*") if path.is_file()]
