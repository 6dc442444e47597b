"""Checks of an attestation: numbered, each with what it found, so that a person sees what holds and what does not.

Not here: verifying signatures (signing.envelopes), and reading the folder (intake.attested_folder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from weighbridge.domain.attestations import FETCHED, JUDGED, SCANNED, SUMMARY, VERIFIED, InTotoStatement
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.text import shown
from weighbridge.errors import WeighbridgeError

#: Paths that a check names; of more, it says how many there are.
_NAMED = 10


@dataclass(frozen=True)
class AttestationCheck:
    """One check.

    Attributes:
        name: what was checked.
        passed: whether it holds; None where an earlier check failed, so that it was not made.
        message: what was found, a sentence.
        paths: the files concerned.
    """

    name: str
    passed: bool | None
    message: str
    paths: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self) | {"paths": list(self.paths)}


def check_subjects(statements: Sequence[InTotoStatement]) -> AttestationCheck:
    """Check that statements are about the same files, and about the manifest of exactly these files.

    The manifest's digest is computed where a statement says how large the files are.
    """
    name, first = "subjects", statements[0].subjects
    if any(statement.subjects != first for statement in statements):
        return AttestationCheck(name, False, "The statements are not about the same files.")
    manifests = [subject for subject in first if subject.uri]
    files = {subject.path: subject.digest for subject in first if subject.path}
    if len(manifests) != 1:
        return AttestationCheck(name, False, "They are not about one manifest.")
    for verified in (one.predicate for one in statements if one.predicate_type == VERIFIED):
        listed = {one["path"]: one for one in verified["files"]}
        if {path: one["sha256"] for path, one in listed.items()} != {path: one.hex for path, one in files.items()}:
            return AttestationCheck(name, False, "The files that were verified are not the files that they are about.")
        if len(listed) != len(verified["files"]) or not _is_manifest(
            manifests[0].digest, {path: (one["size"], files[path]) for path, one in listed.items()}
        ):
            return AttestationCheck(name, False, "The digest of the manifest is not that of these files.")
        if verified["manifest"]["sha256"] != manifests[0].digest.hex:
            return AttestationCheck(name, False, "The manifest that was verified is not the one that they are about.")
    text = f"They are about {_counted(len(files), 'file')} and the manifest {manifests[0].digest}."
    return AttestationCheck(name, True, text)


def check_steps(statements: Sequence[InTotoStatement]) -> AttestationCheck:
    """Check that there is one summary, and that the statements beside it are those that it rests on."""
    name = "steps"
    summaries = [one for one in statements if one.predicate_type == SUMMARY]
    if len(summaries) != 1:
        return AttestationCheck(
            name, False, f"There are {len(summaries)} verification summaries where one is expected."
        )
    others = [one for one in statements if one.predicate_type != SUMMARY]
    if not others:
        return AttestationCheck(name, True, "The file has the verdict alone, without the statements of the steps.")
    named = sorted(one["digest"]["sha256"] for one in summaries[0].predicate.get("inputAttestations", ()))
    if named != sorted(one.digest.hex for one in others):
        return AttestationCheck(name, False, "The verdict does not rest on the statements beside it.")
    if sorted(one.predicate_type for one in others) != sorted((FETCHED, VERIFIED, SCANNED, JUDGED)):
        return AttestationCheck(name, False, "A step has no statement, or two.")
    judged = next(one.predicate for one in others if one.predicate_type == JUDGED)
    if not _agree(summaries[0].predicate, judged):
        return AttestationCheck(name, False, "The verdict and the statement of the judgement contradict each other.")
    return AttestationCheck(name, True, "Fetched, verified, scanned, judged: the verdict rests on these statements.")


def check_verdict(summary: Mapping[str, Any], expected_verifier: str = "") -> AttestationCheck:
    """Check that a summary says PASSED, and that the expected installation says it, where one is expected."""
    verifier, result = summary["verifier"]["id"], summary["verificationResult"]
    said = f"{result} under {shown(summary['policy']['uri'], 100)}, at {summary['timeVerified']}, by {shown(verifier)}"
    if expected_verifier and verifier != expected_verifier:
        return AttestationCheck("verdict", False, f"{said}, not by {shown(expected_verifier)}.")
    levels = summary["verifiedLevels"]
    if result == "PASSED" and "FAILED" in levels:
        return AttestationCheck("verdict", False, f"{said}, with a level that says FAILED.")
    return AttestationCheck("verdict", result == "PASSED", f"{said}.")


def check_folder(statement: InTotoStatement, found: Mapping[str, tuple[int, Digest] | None]) -> list[AttestationCheck]:
    """Check that a folder has exactly the files that a statement is about, byte for byte.

    Args:
        statement: any of them.
        found: what the folder has: path → size and sha256; None for what is not a file that can be read.
    """
    expected = {subject.path: subject.digest for subject in statement.subjects if subject.path}
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    altered = sorted(path for path in expected.keys() & found.keys() if _digest(found[path]) != expected[path])
    checks = [
        _of_paths("missing", missing, "Every file is there.", "missing"),
        _of_paths("altered", altered, "Every file that is there has its sha256.", "other than attested, or unreadable"),
        _of_paths("extra", extra, "There is nothing else.", "not attested"),
    ]
    if all(check.passed for check in checks):
        manifest = next(subject.digest for subject in statement.subjects if subject.uri)
        files = {path: one for path, one in found.items() if one is not None}
        same = _is_manifest(manifest, files)
        text = "The folder's manifest is the one attested." if same else "The folder has another manifest."
        checks.append(AttestationCheck("manifest", same, text))
    return checks


def _agree(summary: Mapping[str, Any], judged: Mapping[str, Any]) -> bool:
    passed = judged["verdict"] == "PASSED" and judged["status"] == "PASSED"
    same_time = bool(summary["timeVerified"] == judged["decidedAt"])
    same_policy = bool(summary["policy"]["digest"]["sha256"] == judged["policy"]["sha256"])
    return (summary["verificationResult"] == "PASSED") == passed and same_time and same_policy


def _is_manifest(digest: Digest, files: Mapping[str, tuple[int, Digest]]) -> bool:
    entries = tuple(FileEntry(path, size, sha256) for path, (size, sha256) in files.items())
    try:
        return Manifest(ModelRef("file", "attested"), entries).digest == digest
    except WeighbridgeError:
        return False


def _digest(found: tuple[int, Digest] | None) -> Digest | None:
    return found[1] if found is not None else None


def _of_paths(name: str, paths: list[str], good: str, bad: str) -> AttestationCheck:
    if not paths:
        return AttestationCheck(name, True, good)
    listed = ", ".join(shown(path, 200) for path in paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")
    return AttestationCheck(name, False, f"{_counted(len(paths), 'file')} {bad}: {listed}.", tuple(paths))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
