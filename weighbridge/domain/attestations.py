"""Attestations: a decision and the steps before it as statements of in-toto, over the files of a version.

The verdict is a verification summary of SLSA; each step has a predicate of this project's, which docs/predicates.md
describes. A statement has nothing of the moment in which it is made, so that two exports of one decision are equal. Not
here: reading one (domain.attestation_reading), signatures (signing.envelopes), the facts (intake.attesting).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FORMAT, Manifest
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport
from weighbridge.domain.version import ModelVersion

#: The type of the payload of an envelope that holds a statement.
PAYLOAD_TYPE = "application/vnd.in-toto+json"
#: The media type of a file with an envelope a line.
BUNDLE_TYPE = "application/vnd.in-toto.bundle"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
#: The predicate of the verdict: https://slsa.dev/spec/v1.1/verification_summary.
SUMMARY = "https://slsa.dev/verification_summary/v1"
_PREDICATES = "https://github.com/weighbridge/weighbridge/blob/main/docs/predicates.md"
FETCHED, VERIFIED, SCANNED, JUDGED = (
    f"{_PREDICATES}#{name}" for name in ("fetched-v1", "verified-v1", "scanned-v1", "judged-v1")
)
#: The word by which a person asks for the statement of each predicate.
STEPS: dict[str, str] = {
    "verdict": SUMMARY,
    "fetched": FETCHED,
    "verified": VERIFIED,
    "scanned": SCANNED,
    "judged": JUDGED,
}
#: What a summary says of levels of SLSA: how a model was built is not known here.
PASSED_LEVELS, FAILED_LEVELS = ("SLSA_BUILD_LEVEL_UNEVALUATED",), ("FAILED",)
#: How the URI of a manifest begins, which is a subject beside the files.
MANIFEST_URI = "urn:weighbridge:manifest:"


@dataclass(frozen=True)
class AttestationSubject:
    """What a statement is about.

    Attributes:
        digest: its sha256.
        path: of a file, its path in the model.
        uri: of what is not a file, what it is.
    """

    digest: Digest
    path: str = ""
    uri: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return in-toto's resource descriptor; some readers demand a name of what has a URI, too."""
        which = {"name": self.path} if self.path else {"name": self.uri, "uri": self.uri}
        return {**which, "digest": {"sha256": self.digest.hex}}


@dataclass(frozen=True)
class InTotoStatement:
    """A statement of in-toto, version 1.

    Attributes:
        subjects: what it is about.
        predicate_type: which predicate.
        predicate: what is said of them; plain JSON types.
    """

    subjects: tuple[AttestationSubject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    @cached_property
    def content(self) -> bytes:
        """The statement as it is signed: JSON, the same bytes for the same statement."""
        value = {
            "_type": STATEMENT_TYPE,
            "subject": [subject.to_json() for subject in self.subjects],
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> Digest:
        """The sha256 of `content`, by which a summary names the statements that it rests on."""
        return Digest.sha256(self.content)


@dataclass(frozen=True)
class AttestedDecision:
    """A decision on a version, as it is attested.

    Attributes:
        version: the version, with the decision and the reports that it rests on.
        decided_at: when it became what it is: the last verdict, withdrawal or reinstatement.
        verifier: the URI of the installation that decided.
    """

    version: ModelVersion
    decided_at: datetime
    verifier: str

    @property
    def passed(self) -> bool:
        """Return whether a summary says PASSED; what was not scanned, or was withdrawn, did not pass."""
        return self.version.status == "PASSED" and self.version.decision.verdict == "PASSED"

    @property
    def time(self) -> str:
        """`decided_at` as a timestamp of RFC 3339."""
        return self.decided_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def subjects_of(manifest: Manifest) -> tuple[AttestationSubject, ...]:
    """Return what statements on a version are about: the manifest, then every file."""
    files = [AttestationSubject(entry.digest, path=entry.path) for entry in manifest.files if entry.digest]
    return (AttestationSubject(manifest.digest, uri=f"{MANIFEST_URI}{manifest.digest}"), *files)


def statements_of(decision: AttestedDecision) -> tuple[InTotoStatement, ...]:
    """Return the statements on a decision: the summary, then one a step, in the order of the steps."""
    subjects = subjects_of(decision.version.manifest)
    steps = {
        FETCHED: _fetched(decision.version),
        VERIFIED: _verified(decision.version.manifest),
        SCANNED: _scanned(decision.version.reports),
        JUDGED: _judged(decision),
    }
    each = tuple(InTotoStatement(subjects, kind, _well_formed(predicate)) for kind, predicate in steps.items())
    return (InTotoStatement(subjects, SUMMARY, _well_formed(_summary(decision, each))), *each)


def _summary(decision: AttestedDecision, steps: tuple[InTotoStatement, ...]) -> dict[str, Any]:
    version, judged = decision.version, decision.version.decision
    return {
        "verifier": {"id": decision.verifier},
        "timeVerified": decision.time,
        "resourceUri": version.source,
        "policy": {
            "uri": f"urn:weighbridge:policy:{quote(judged.policy, safe='')}",
            "digest": _digest_set(judged.policy_digest),
        },
        "inputAttestations": [{"uri": step.predicate_type, "digest": {"sha256": step.digest.hex}} for step in steps],
        "verificationResult": "PASSED" if decision.passed else "FAILED",
        "verifiedLevels": list(PASSED_LEVELS if decision.passed else FAILED_LEVELS),
        "slsaVersion": "1.1",
    }


def _fetched(version: ModelVersion) -> dict[str, Any]:
    return {
        "source": version.source,
        "recordedAt": version.created_at,
        "files": len(version.manifest.files),
        "size": version.manifest.size,
        "unpackedAs": version.manifest.archive,
    }


def _verified(manifest: Manifest) -> dict[str, Any]:
    files = [
        {"path": entry.path, "size": entry.size, "sha256": entry.digest.hex} for entry in manifest.files if entry.digest
    ]
    return {"manifest": {"format": FORMAT, "sha256": manifest.digest.hex}, "files": files}


def _scanned(reports: tuple[ScanReport, ...]) -> dict[str, Any]:
    engines: dict[tuple[Any, ...], list[ScanReport]] = {}
    for report in reports:
        if report.reason != NOT_APPLICABLE:
            engines.setdefault((report.scanner, report.version, report.rules, report.engine), []).append(report)
    scanners = [
        {
            "scanner": scanner,
            "version": version,
            "rules": rules,
            "engine": dict(engine),
            "reports": [_report(report) for report in sorted(given, key=lambda report: report.key)],
        }
        for (scanner, version, rules, engine), given in sorted(engines.items(), key=lambda pair: pair[0])
    ]
    return {"scanners": scanners, "notApplicable": sum(report.reason == NOT_APPLICABLE for report in reports)}


def _report(report: ScanReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "sha256": report.digest.hex,
        "subject": report.subject,
        "status": report.status,
        "reason": report.reason,
        "bytesCovered": report.bytes_covered,
        "bytesTotal": report.bytes_total,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _judged(decision: AttestedDecision) -> dict[str, Any]:
    version, judged = decision.version, decision.version.decision
    return {
        "model": version.name,
        "version": version.version,
        "verdict": judged.verdict,
        "status": version.status,
        "decidedAt": decision.time,
        "policy": {"name": judged.policy, "sha256": _digest_set(judged.policy_digest)["sha256"]},
        "reasons": [asdict(reason) for reason in judged.reasons],
        "reports": list(judged.reports),
    }


def _digest_set(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _well_formed(value: Any) -> Any:
    """Return a value in which every text is valid Unicode: a publisher's may hold lone surrogates."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_well_formed(name): _well_formed(one) for name, one in value.items()}
    return [_well_formed(one) for one in value] if isinstance(value, list) else value
