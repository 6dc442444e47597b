"""The bill of materials of a version, held to the schema of CycloneDX 1.6 by the library's strict validator."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.benchmarks.board import A, result
from tests.content.cards.test_describe import GGUF, LLAMA, README, SHARDS, card
from tests.domain.test_gate import report
from weighbridge.domain.bill import BillFacts, bill_of, serial_number
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.domain.result import INSUFFICIENT, BenchmarkResult, Metric
from weighbridge.domain.version import ModelVersion
from weighbridge.intake.bills import licences_of, written_bill
from weighbridge.store.local import LocalBlobStore

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
WEIGHTS = Digest.sha256(b"weights")
HUB = ModelRef.parse(f"hf:Org/Name@{'A' * 40}")
#: Texts that a publisher may have chosen for any name: markup, controls, direction, a lone surrogate, another syntax.
HOSTILE = ["<b>&\"'", "a\x00b\x1b[2J\n", "\u202egpj.exe", "\udc80", "urn:cdx:x/1#y", "%zz {}|^`", "x" * 300, "ß/½ 漢"]


def made(card: ModelCard | None = None, *reports: ScanReport, **changes: Any) -> ModelVersion:
    files = (FileEntry("config.json", 2, Digest.sha256(b"{}")), FileEntry("model.safetensors", 7, WEIGHTS))
    version = ModelVersion(
        name="org/name",
        version="1.0.0",
        status="PASSED",
        source=HUB.uri,
        manifest=Manifest(HUB, files),
        card=card or ModelCard(),
        decision=Decision("PASSED", "standard", "f" * 64),
        reports=reports,
        created_at="2026-11-29T01:02:03+00:00",
    )
    return replace(version, **changes)


def bill(version: ModelVersion, *results: BenchmarkResult, licence: str = "", signers: tuple[str, ...] = ()) -> Any:
    facts = BillFacts(version, licences_of(licence), results, "0.1.0", signers)
    content = written_bill(bill_of(facts))
    assert written_bill(bill_of(facts)) == content, "the same version twice has the same bytes"
    error = VALIDATOR.validate_str(content.decode())
    assert error is None, error
    found = json.loads(content)
    references = [part["bom-ref"] for part in _parts(found) if "bom-ref" in part]
    assert len(references) == len(set(references)), "each reference is one part's"
    return found


def _parts(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(part for one in inner for part in _parts(one))]


def test_a_model_has_its_files_parents_data_sets_and_card() -> None:
    fields = {
        "architecture": "llama",
        "task": "text-generation",
        "base_model": "org/base, org/other",
        "datasets": ["org/texts"],
        "description": "A model.",
        "parameter_count": 135,
    }
    found = bill(made(ModelCard({name: Field(value, "x") for name, value in fields.items()})), licence="Apache-2.0")
    model = found["metadata"]["component"]
    assert (model["group"], model["name"], model["version"]) == ("org", "name", "1.0.0")
    assert model["purl"] == f"pkg:huggingface/Org/Name@{'a' * 40}"
    assert model["licenses"] == [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]
    assert [one["name"] for one in model["pedigree"]["ancestors"]] == ["org/base", "org/other"]
    parameters = model["modelCard"]["modelParameters"]
    assert (parameters["task"], parameters["architectureFamily"]) == ("text-generation", "llama")
    assert parameters["datasets"] == [{"ref": "dataset:org/texts"}]
    kinds = {(one["type"], one["name"]) for one in found["components"]}
    assert kinds >= {("file", "model.safetensors"), ("data", "org/texts"), ("machine-learning-model", "org/base")}
    (weights,) = (one for one in found["components"] if one["name"] == "model.safetensors")
    assert weights["hashes"] == [{"alg": "SHA-256", "content": WEIGHTS.hex}]
    assert found["dependencies"][0]["dependsOn"] == sorted(one["bom-ref"] for one in found["components"])


@pytest.mark.parametrize(
    ("licence", "written"),
    [
        ("", None),
        ("MIT", {"license": {"id": "MIT"}}),
        ("MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0"}),
        ("llama3.1", {"license": {"name": "llama3.1"}}),
        ("MIT AND llama3.1", {"license": {"name": "MIT AND llama3.1"}}),
        (
            "unknown",
            {"license": {"name": "unknown"}},
        ),  # GenAI-Security-Project/aibom-generator 7: as an id it is invalid
        ("GPL-2.0", {"license": {"id": "GPL-2.0"}}),
        *((text, {"license": {"name": text.encode(errors="replace").decode()}}) for text in HOSTILE),
    ],
)
def test_a_licence_is_an_id_an_expression_or_a_name(licence: str, written: dict[str, Any] | None) -> None:
    found = bill(made(), licence=licence)["metadata"]["component"].get("licenses")
    if written is None:
        assert found is None
        return
    (only,) = found
    declared = only.get("license", only).pop("acknowledgement")
    assert (only, declared) == (written, "declared")


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_publisher_writes_makes_a_valid_document(text: str) -> None:
    fields = dict.fromkeys(("architecture", "task", "base_model", "description", "quantization"), text)
    lists = {name: [text, text, "other"] for name in ("datasets", "tags")}
    held = ModelCard({name: Field(value, "x") for name, value in {**fields, **lists}.items()})  # type: ignore[arg-type]
    finding = Finding("format.unknown", "warning", text, text)
    reason = Reason("warn", "format.unknown", f"{text} ({text})", "model.safetensors", "r")
    version = made(
        held,
        report("formats", findings=(finding, replace(finding, level="note"))),
        source=f"https://host/{text}",
        decision=Decision("PASSED", text, "f" * 64, (reason,)),
    )
    found = bill(version, replace(result(A, 1.0), benchmark=text, hardware={"processor": text}), signers=(text,))
    assert len(found["vulnerabilities"]) == 1
    assert "org/name" not in found["metadata"]["component"]["name"]


CARDS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "transformers": {"config.json": LLAMA, "model.safetensors": SHARDS[0], "README.md": README},
    "gguf": {"tiny.gguf": GGUF},
    "pickle": {"pytorch_model.bin": pickle.dumps({}), "config.json": LLAMA},
    "adapter": {"adapter_config.json": {"base_model_name_or_path": "org/base"}, "adapter_model.safetensors": SHARDS[0]},
    "diffusers": {"model_index.json": {"_class_name": "StableDiffusionPipeline"}},
    "sentences": {"modules.json": [], "config.json": LLAMA},
    "data sets": {"README.md": b"---\ndatasets: [org/a, org/a, 'org/b c']\nlicense: other\nlanguage: [no]\n---\n# T\n"},
    "odd front matter": {"README.md": b"---\ndatasets: {a: 1}\nbase_model: [null]\ntags: 3\n---\n"},
    "missing": {"model.safetensors.index.json": {"weight_map": {"a": "gone.safetensors"}}},
}


@pytest.mark.parametrize("kind", CARDS)
def test_every_kind_of_card_makes_a_valid_document(kind: str, store: LocalBlobStore) -> None:
    described = card(store, CARDS[kind])
    found = bill(made(described), licence=str(described.get("licence") or ""))
    sets = [one["name"] for one in found["components"] if one["type"] == "data"]
    assert sets == (["org/a", "org/b c"] if kind == "data sets" else [])


def test_findings_have_their_files_their_level_and_what_the_gate_made_of_them() -> None:
    bad = Finding("pickle.global", "error", "It names os.system.", "0:17")
    odd, note = Finding("pickle.malformed", "warning", "It ends."), Finding("pickle.objects", "note", "It has one.")
    of_weights = report("pickles", digest=WEIGHTS, findings=(bad, odd, note))
    reasons = (
        Reason("reject", "pickle.global", "It names os.system. (0:17)", "model.safetensors", of_weights.id),
        Reason("waive", "pickle.malformed", "It ends. Waived by Ada: seen.", "model.safetensors", of_weights.id),
    )
    version = made(None, of_weights, decision=Decision("FAILED", "house", "f" * 64, reasons))
    version = replace(version, manifest=Manifest(HUB, (*version.manifest.files, FileEntry("same.bin", 7, WEIGHTS))))
    found = bill(version)
    first, second = found["vulnerabilities"]
    assert (first["id"], first["ratings"][0]["severity"], first["detail"]) == (
        "pickle.global",
        "high",
        "It names os.system. (0:17)",
    )
    assert [one["ref"] for one in first["affects"]] == ["file:model.safetensors", "file:same.bin"]
    assert first["properties"] == [{"name": "weighbridge:effect", "value": "reject"}]
    assert second["analysis"] == {"response": ["will_not_fix"], "detail": "It ends. Waived by Ada: seen."}
    decided, noted = found["annotations"]
    assert decided["text"].startswith(
        "FAILED under the policy house.\nreject: pickle.global: model.safetensors: It names"
    )
    assert (noted["subjects"], "pickle.objects" in noted["text"]) == (["file:model.safetensors", "file:same.bin"], True)


def test_a_chat_template_is_named_by_its_digest() -> None:
    """CycloneDX/specification 862: a program that every prompt goes through has no place of its own."""
    held = ModelCard({"chat_template": Field("ab" * 32, "tokenizer_config.json#chat_template")})
    card = bill(made(held))["metadata"]["component"]["modelCard"]
    assert card["properties"] == [{"name": "weighbridge:chat_template", "value": "ab" * 32}]


def test_what_was_not_seen_is_not_called_clean() -> None:
    found = bill(made(None, report("clamav", digest=WEIGHTS, status="failed", reason="timed out")))
    (only,) = found["vulnerabilities"]
    assert (only["id"], only["detail"]) == ("scanners.required", "clamav did not see it: timed out.")


def test_results_have_their_intervals_and_what_has_no_number_is_left_out() -> None:
    nothing = replace(
        result(A, 2.0), metrics=(Metric("x", None, "s", 0, reason=INSUFFICIENT), Metric("y", float("nan"), "s", 1))
    )
    model = bill(made(), result(A, 1.5), nothing)["metadata"]["component"]
    (only,) = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert (only["type"], only["value"]) == ("inference_latency: ttft_p50 (s)", "1.5")
    assert only["confidenceInterval"] == {"lowerBound": "1.4", "upperBound": "1.6"}
    assert "quantitativeAnalysis" not in bill(made(), nothing)["metadata"]["component"]["modelCard"]


def test_the_serial_number_is_that_of_a_name_a_number_and_bytes() -> None:
    version = made()
    others = [
        replace(version, name="org/other"),
        replace(version, version="1.0.1"),
        replace(version, manifest=Manifest(HUB, version.manifest.files[:1])),
    ]
    assert len({serial_number(one) for one in (version, *others)}) == 4
    judged = replace(version, status="FAILED", decision=Decision("FAILED", "strict", "f" * 64))
    assert serial_number(judged) == serial_number(version) == bill(version)["serialNumber"]


@pytest.mark.parametrize("path", ["a b/ß½.txt", "%00", "..a", "-rf", "x?y#z", "C1_or_C2?.json", "\u202egpj"])
def test_a_file_may_have_any_name_that_a_manifest_lets_in(path: str) -> None:
    found = bill(made(manifest=Manifest(HUB, (FileEntry(path, 0, Digest.sha256(b"")),))))
    assert [one["name"] for one in found["components"]] == [path]


@pytest.mark.parametrize("uri", ["file:/models/a b", "s3://bucket/pre fix", "https://host/ä?q=%zz", "mock:o/n@1"])
def test_every_source_makes_a_valid_address(uri: str) -> None:
    ref = ModelRef.parse(uri)
    found = bill(made(source=ref.uri, manifest=Manifest(ref, ())))
    assert "purl" not in found["metadata"]["component"]
