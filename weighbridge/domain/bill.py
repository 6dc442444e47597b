"""A bill of materials of a version: a CycloneDX 1.6 ML-BOM as plain JSON types. Pure.

The same facts give the same document. The order of lists is that of the facts, and every time is that of the version.
Not here: collecting the facts and how a licence is written (intake.bills).
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from weighbridge.domain.decision import Reason
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.report import Finding, ScanReport, engine_text
from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.domain.rules import RULES
from weighbridge.domain.version import ModelVersion

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
#: The media type of such a document.
MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"
#: The reference of the model in its bill.
MODEL = "model"
#: Serial numbers are UUIDs of this namespace: of a name, a number and a manifest's digest.
_NAMESPACE = uuid.UUID("6a4e3d5e-7d0b-5b0c-9b53-3d1d0f5f0a41")
_SEVERITIES = {"error": "high", "warning": "medium", "note": "info"}
#: Characters that an IRI may have as they are.
_IN_ADDRESSES = "/:@?&=+$,;~*'()!%"
#: A percent sign that escapes nothing.
_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class BillFacts:
    """What a bill is made of.

    Attributes:
        version: the version, whole.
        licences: its licence, as CycloneDX writes it.
        results: what was measured of it.
        tool: the version of Weighbridge.
        signers: what is known of its publisher's signatures, a sentence each.
    """

    version: ModelVersion
    licences: tuple[Mapping[str, Any], ...] = ()
    results: tuple[BenchmarkResult, ...] = ()
    tool: str = ""
    signers: tuple[str, ...] = ()


def serial_number(version: ModelVersion) -> str:
    """Return the serial number of a version's bill; it follows from name, number and the manifest's digest."""
    return uuid.uuid5(_NAMESPACE, f"{version.name}\n{version.version}\n{version.manifest.digest}").urn


def bill_of(facts: BillFacts) -> dict[str, Any]:
    """Return the bill of a version.

    1. Its subject is the model: source, licence, parents, card, results of benchmarks.
    2. Each file is a component with its sha256, each data set of the card another one.
    3. An error or a warning of a scanner is a vulnerability of the files that have it; a note is an annotation.
    4. The gate's decision is an annotation by Weighbridge, with its reasons.
    """
    version = facts.version
    parents, data_sets = _parents(version), _data_sets(version)
    files = [_file(entry) for entry in version.manifest.files]
    document = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(version),
        "version": 1,
        "metadata": {
            "timestamp": version.created_at,
            "tools": {"components": [_weighbridge(facts), *_scanners(version)]},
            "component": _model(facts, parents, data_sets),
        },
        "components": [*files, *parents, *data_sets],
        "dependencies": [
            {"ref": MODEL, "dependsOn": sorted(one["bom-ref"] for one in (*files, *parents, *data_sets))},
        ],
        "compositions": [{"aggregate": "complete", "assemblies": [one["bom-ref"] for one in files]}],
        "annotations": [*_decided(facts), *_signed(facts), *_notes(facts)],
        "vulnerabilities": list(_vulnerabilities(version)),
    }
    plain: dict[str, Any] = _written(document)
    return plain


def _model(facts: BillFacts, parents: list[dict[str, Any]], data_sets: list[dict[str, Any]]) -> dict[str, Any]:
    version, card = facts.version, facts.version.card
    group, _, name = version.name.rpartition("/")
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "group": group,
        "name": name,
        "version": version.version,
        "description": card.get("description") or "",
        "licenses": list(facts.licences),
        "purl": _package_url(version),
        "externalReferences": [{"type": "distribution", "url": _address(version.source)}, *_page(version)],
        "pedigree": {"ancestors": [{key: one[key] for key in ("type", "name")} for one in parents]} if parents else {},
        "modelCard": _card(facts, data_sets),
        "tags": card.get("tags") or [],
        "properties": _properties(version),
    }
    return {key: value for key, value in model.items() if value not in ("", [], {})}


def _card(facts: BillFacts, data_sets: list[dict[str, Any]]) -> dict[str, Any]:
    card = facts.version.card
    parameters = {
        "task": card.get("task") or "",
        "architectureFamily": card.get("architecture") or "",
        "datasets": [{"ref": one["bom-ref"]} for one in data_sets],
    }
    metrics = [
        _metric(result, metric)
        for result in facts.results
        for metric in (one.finite() for one in result.metrics)
        if metric.value is not None
    ]
    numbers = (
        "parameter_count",
        "context_length",
        "quantization",
        "vocab_size",
        "weights_size",
        "memory_size",
        "chat_template",
    )
    return {
        "bom-ref": "model-card",
        "modelParameters": {key: value for key, value in parameters.items() if value},
        **({"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}),
        "properties": [_property(name, card.get(name)) for name in numbers if card.get(name) is not None],
    }


def _metric(result: BenchmarkResult, metric: Metric) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": f"{result.benchmark}: {metric.name} ({metric.unit})",
        "value": repr(metric.value),
        "slice": f"{result.definition}, n {metric.n}, {result.machine or 'no machine named'}, {result.comparable_key}",
    }
    if metric.interval is not None:
        entry["confidenceInterval"] = {
            "lowerBound": repr(metric.interval.low),
            "upperBound": repr(metric.interval.high),
        }
    return entry


def _properties(version: ModelVersion) -> list[dict[str, str]]:
    decision = version.decision
    facts = {
        "manifest": str(version.manifest.digest),
        "size": version.manifest.size,
        "status": version.status,
        "verdict": decision.verdict,
        "policy": decision.policy,
        "policy_digest": decision.policy_digest,
        "purged": version.purged,
    }
    return [_property(name, value) for name, value in facts.items()]


def _property(name: str, value: object) -> dict[str, str]:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"name": f"weighbridge:{name}", "value": text}


def _file(entry: FileEntry) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": _file_ref(entry.path),
        "name": entry.path,
        **({"hashes": [{"alg": "SHA-256", "content": entry.digest.hex}]} if entry.digest else {}),
        "properties": [_property("size", entry.size or 0)],
    }


def _file_ref(path: str) -> str:
    return f"file:{path}"


def _parents(version: ModelVersion) -> list[dict[str, Any]]:
    named = str(version.card.get("base_model") or "").split(", ")
    return [
        {"type": "machine-learning-model", "bom-ref": f"parent:{name}", "name": name}
        for name in dict.fromkeys(named)
        if name
    ]


def _data_sets(version: ModelVersion) -> list[dict[str, Any]]:
    return [
        {"type": "data", "bom-ref": f"dataset:{name}", "name": name, "data": [{"type": "dataset", "name": name}]}
        for name in dict.fromkeys(version.card.get("datasets") or [])
    ]


def _package_url(version: ModelVersion) -> str:
    """Return the package URL of a model of the Hub, where its commit is known; else nothing."""
    ref = version.manifest.ref
    if ref.kind != "huggingface" or not ref.revision:
        return ""
    name = "/".join(quote(part, safe="") for part in ref.id.split("/"))
    return f"pkg:huggingface/{name}@{quote(ref.revision.lower(), safe='')}"


def _page(version: ModelVersion) -> list[dict[str, str]]:
    page = version.manifest.ref.page
    return [{"type": "website", "url": _address(page)}] if page else []


def _address(text: str) -> str:
    """Return an address in characters that an IRI may have."""
    return quote(_PERCENT.sub("%25", text).encode(errors="replace"), safe=_IN_ADDRESSES)


def _weighbridge(facts: BillFacts) -> dict[str, Any]:
    return {"type": "application", "name": "Weighbridge", "version": facts.tool}


def _scanners(version: ModelVersion) -> list[dict[str, Any]]:
    engines = sorted({(report.scanner, engine_text(report)) for report in version.reports})
    return [{"type": "application", "name": name, "version": engine} for name, engine in engines]


def _annotation(facts: BillFacts, subjects: list[str], text: str) -> dict[str, Any]:
    return {
        "subjects": subjects,
        "annotator": {"component": _weighbridge(facts)},
        "timestamp": facts.version.created_at,
        "text": text,
    }


def _decided(facts: BillFacts) -> Iterator[dict[str, Any]]:
    decision = facts.version.decision
    why = "".join(f"\n{reason.effect}: {_told(reason)}" for reason in decision.reasons)
    yield _annotation(facts, [MODEL], f"{decision.verdict} under the policy {decision.policy}.{why}")


def _told(reason: Reason) -> str:
    return f"{reason.rule}: {f'{reason.path}: ' if reason.path else ''}{reason.message}"


def _signed(facts: BillFacts) -> Iterator[dict[str, Any]]:
    for text in facts.signers:
        yield _annotation(facts, [MODEL], text)


def _notes(facts: BillFacts) -> Iterator[dict[str, Any]]:
    for report, finding, paths in _findings(facts.version):
        if finding.level == "note":
            text = f"{report.scanner}: {finding.rule}: {_message(finding)}"
            yield _annotation(facts, [_file_ref(path) for path in paths], text)


def _vulnerabilities(version: ModelVersion) -> Iterator[dict[str, Any]]:
    reasons = {(reason.rule, reason.report, reason.message): reason for reason in version.decision.reasons}
    waived = {(one.rule, one.report): one for one in version.decision.reasons if one.effect == "waive"}
    for place, (report, finding, paths) in enumerate(_findings(version)):
        if finding.level == "note":
            continue
        rule = RULES.get(finding.rule)
        reason = reasons.get((finding.rule, report.id, _message(finding)))
        entry: dict[str, Any] = {
            "bom-ref": f"finding:{place}",
            "id": finding.rule,
            "source": {"name": f"Weighbridge, {report.scanner}"},
            "ratings": [{"severity": _SEVERITIES[finding.level], "method": "other"}],
            "description": rule.meaning if rule else "",
            "detail": _message(finding),
            "affects": [{"ref": _file_ref(path)} for path in paths],
            "properties": [_property("effect", reason.effect)] if reason else [],
        }
        if reason is None and (waiver := waived.get((finding.rule, report.id))):
            entry["analysis"] = {"response": ["will_not_fix"], "detail": waiver.message}
            entry["properties"] = [_property("effect", "waive")]
        yield {key: value for key, value in entry.items() if value not in ("", [])}


def _message(finding: Finding) -> str:
    """Return what a finding says, as the gate's reason has it."""
    return finding.message + (f" ({finding.location})" if finding.location else "")


def _findings(version: ModelVersion) -> Iterator[tuple[ScanReport, Finding, list[str]]]:
    """Yield each finding with the files that have it."""
    paths: dict[str, list[str]] = defaultdict(list)
    for entry in version.manifest.files:
        paths[str(entry.digest)].append(entry.path)
    for report in sorted(version.reports, key=lambda report: report.key):
        found = [*report.findings]
        if report.status == "failed":
            found.append(Finding("scanners.required", "warning", f"{report.scanner} did not see it: {report.reason}."))
        for finding in found:
            yield report, finding, paths[str(report.digest)]


def _written(value: Any) -> Any:
    """Return a value whose texts can be written in UTF-8."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {key: _written(part) for key, part in value.items()}
    return [_written(part) for part in value] if isinstance(value, list | tuple) else value
