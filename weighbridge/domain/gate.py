"""The gate: `decide`, a pure function of stored facts and a policy. Changing a policy reads no byte again.

Not here: the policy itself (domain.policy), reading policy.yaml (policy_file), collecting facts (intake.scanning).
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from weighbridge.domain.card import ModelCard
from weighbridge.domain.code_names import code_name
from weighbridge.domain.decision import Decision, Reason, Verdict
from weighbridge.domain.deltas import WHOLE_DATE, is_delta, whole_rules, whole_scan_due
from weighbridge.domain.extras import SIGNATURES_COMMAND
from weighbridge.domain.format_names import WEIGHTS_FORMATS, disagreement, fitting
from weighbridge.domain.licences import judge_licence
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import unportable
from weighbridge.domain.policy import Policy, effect_of
from weighbridge.domain.report import (
    NOT_APPLICABLE,
    SCANNED_AT,
    SCANNED_BY,
    WINDOWED,
    ScanReport,
)

#: Scanners that read content, not only structure: every byte must be covered by one of them.
CONTENT_SCANNERS = ("clamav",)


def decide(
    manifest: Manifest, reports: Sequence[ScanReport], card: ModelCard, policy: Policy, now: datetime
) -> Decision:
    """Judge a model version; pure.

    1. Every required scanner has a report for every file: completed, or windowed where that is allowed.
    2. Every byte of every file was read by a content scanner; else the best verdict is SKIPPED.
    3. The signatures were real and young enough; a scan for added ones counts, and is recent enough; what another
       installation scanned is accepted.
    4. No finding rejects.
    5. Formats, names against content, names by which code is run, required files and size satisfy the policy; no file
       is missing that the model's own indexes name.
    6. The policy accepts the licence.
    7. Waivers turn rejections into waived ones, each with author and reason.

    Args:
        manifest: computed; every file has a sha256.
        reports: all reports about its blobs from today's engines; others are ignored.
        card: the model's card.
        policy: the rules.
        now: the time of judgement, with a time zone.
    """
    known = _by_file(manifest, reports)
    reasons: list[Reason] = []
    complete = True
    for entry in manifest.files:
        of_file = known[entry.path]
        reasons += _required(entry, of_file, policy)
        reasons += _signatures(entry, of_file, policy, now)
        reasons += _deltas(entry, of_file, policy, now)
        reasons += _findings(entry, of_file, policy)
        complete &= _covered(entry, of_file, policy)
    reasons += _elsewhere(known, policy)
    reasons += _shape(manifest, known, policy)
    reasons += _missing(card, policy)
    reasons += _names(manifest, policy)
    reasons += [Reason(*judged) for judged in judge_licence(card, policy.licence)]
    if not manifest.files:
        reasons.append(Reason("reject", "model.empty", "The model has no files."))
    reasons = sorted({_waived(reason, manifest, policy, now) for reason in reasons})
    verdict: Verdict = "PASSED"
    if any(reason.effect == "reject" for reason in reasons):
        verdict = "FAILED"
    elif not complete:
        verdict = "SKIPPED"
        reasons.append(
            Reason("warn", "coverage", f"The policy {policy.name} leaves bytes unread, so nothing can pass under it.")
        )
    used = tuple(sorted({report.id for of_file in known.values() for report in of_file}))
    return Decision(verdict, policy.name, policy.digest, tuple(reasons), used)


def _by_file(manifest: Manifest, reports: Sequence[ScanReport]) -> dict[str, list[ScanReport]]:
    """Return the reports of each file by its path.

    The same bytes may have several names and, where content cannot tell, a format for each: every name is judged by
    the reports of its own format.
    """
    by_digest: dict[str, list[ScanReport]] = defaultdict(list)
    for report in reports:
        by_digest[str(report.digest)].append(report)
    known = {}
    for entry in manifest.files:
        found = by_digest[str(entry.digest)]
        own = fitting(entry.path, {report.subject for report in found})
        known[entry.path] = _without_surpassed([report for report in found if report.subject in own])
    return known


def _without_surpassed(reports: list[ScanReport]) -> list[ScanReport]:
    """Return the reports without those of delta scans for which there is one of a whole scan."""
    whole = {report.key for report in reports}
    return [
        report
        for report in reports
        if not is_delta(report) or replace(report, rules=whole_rules(report)).key not in whole
    ]


def _usable(report: ScanReport, policy: Policy) -> bool:
    """Return whether the scanner saw all it must see of the file."""
    if report.status == "completed":
        return True
    if report.status == "skipped":
        return report.reason == NOT_APPLICABLE
    return report.status == "partial" and report.reason == WINDOWED and policy.allow_windowed


def _required(entry: FileEntry, reports: list[ScanReport], policy: Policy) -> Iterator[Reason]:
    for scanner in policy.required:
        of_scanner = [report for report in reports if report.scanner == scanner]
        if not of_scanner:
            yield Reason("reject", "scanners.required", f"{scanner} did not scan it.", entry.path)
        for report in of_scanner:
            if not _usable(report, policy):
                text = f"{scanner} did not see all of it: {report.status}, {report.reason}."
                yield Reason("reject", "scanners.required", text, entry.path, report.id)
    for report in reports:
        if report.scanner not in policy.required and not _usable(report, policy):
            text = f"{report.scanner} did not see all of it: {report.status}, {report.reason}."
            yield Reason("warn", "scanners.incomplete", text, entry.path, report.id)


def _covered(entry: FileEntry, reports: list[ScanReport], policy: Policy) -> bool:
    if entry.size == 0:
        return True
    return any(
        report.scanner in CONTENT_SCANNERS
        and report.status in ("completed", "partial")
        and _usable(report, policy)
        and report.bytes_covered == entry.size
        for report in reports
    )


def _signatures(entry: FileEntry, reports: list[ScanReport], policy: Policy, now: datetime) -> Iterator[Reason]:
    for report in reports:
        facts = dict(report.engine)
        if "database" not in facts:
            continue
        required = report.scanner in policy.required
        if facts["database"] == "test-only":
            text = (
                f"This machine has no virus signatures: {report.scanner} scanned with a test-only database, which "
                f"recognises the EICAR test file and no malware. Get them (`{SIGNATURES_COMMAND}`), then ingest again."
            )
            rejects = required and policy.database == "official"
            yield Reason("reject" if rejects else "warn", "scanners.database", text)
        elif required and policy.max_database_age_days is not None:
            yield from _age(report.scanner, facts.get("database_date", ""), policy, now)


def _age(scanner: str, built: str, policy: Policy, now: datetime) -> Iterator[Reason]:
    if not built:
        effect: Literal["reject", "warn"] = "reject" if policy.database == "official" else "warn"
        yield Reason(effect, "scanners.database", f"{scanner}'s signatures do not say how old they are.")
        return
    age_days, limit_days = (now.date() - date.fromisoformat(built[:10])).days, policy.max_database_age_days
    if limit_days is not None and age_days > limit_days:
        text = f"{scanner}'s signatures are {age_days} days old, {limit_days} are allowed: run `freshclam`."
        yield Reason("reject", "scanners.database", text)


def _deltas(entry: FileEntry, reports: list[ScanReport], policy: Policy, now: datetime) -> Iterator[Reason]:
    for report in reports:
        if is_delta(report) and report.scanner in policy.required:
            due = whole_scan_due(dict(report.engine).get(WHOLE_DATE, ""), policy, now.date())
            if due:
                yield Reason("reject", "scanners.delta", due, entry.path, report.id)


def _elsewhere(known: dict[str, list[ScanReport]], policy: Policy) -> Iterator[Reason]:
    """Yield a reason for each other installation whose reports count, as a bundle with a trusted key brought them."""
    effect = effect_of("scanners.elsewhere", "warning", policy)
    if effect == "ignore":
        return
    engines = (dict(report.engine) for of_file in known.values() for report in of_file)
    places = {(facts[SCANNED_BY], facts.get(SCANNED_AT, "")) for facts in engines if facts.get(SCANNED_BY)}
    for by, at in places:
        when = f" on {at[:10]}" if at else ""
        yield Reason(effect, "scanners.elsewhere", f"It was scanned at {by}{when}, not here.")


def _findings(entry: FileEntry, reports: list[ScanReport], policy: Policy) -> Iterator[Reason]:
    for report in reports:
        for finding in report.findings:
            effect = effect_of(finding.rule, finding.level, policy)
            if effect != "ignore":
                where = f" ({finding.location})" if finding.location else ""
                yield Reason(effect, finding.rule, finding.message + where, entry.path, report.id)


def _mismatch(entry: FileEntry, kinds: Sequence[str], policy: Policy) -> Iterator[Reason]:
    """Yield a reason where a file's name disagrees with its content.

    No scanner can compare them, since the same bytes may have another name in another model. Where the content fits
    several formats, one that agrees with the name is enough.
    """
    differences = [disagreement(entry.path, kind) for kind in kinds]
    if differences and all(differences) and (differs := differences[0]):
        effect = effect_of("format.mismatch", differs.level, policy)
        if effect != "ignore":
            yield Reason(effect, "format.mismatch", differs.message, entry.path)


def _run_by_name(entry: FileEntry, policy: Policy) -> Iterator[Reason]:
    """Yield a reason where programs run a file because of its name."""
    if found := code_name(entry.path):
        effect = effect_of("code.run-by-name", found.level, policy)
        if effect != "ignore":
            yield Reason(effect, "code.run-by-name", found.message, entry.path)


def _shape(manifest: Manifest, known: dict[str, list[ScanReport]], policy: Policy) -> Iterator[Reason]:
    for entry in manifest.files:
        yield from _run_by_name(entry, policy)
        kinds = sorted({report.subject for report in known[entry.path]})
        yield from _mismatch(entry, kinds, policy)
        for kind in kinds:
            if kind in policy.deny_formats:
                yield Reason("reject", "formats.denied", f"Files of the format {kind} are not let in.", entry.path)
            elif policy.only_weights and kind in WEIGHTS_FORMATS and kind not in policy.only_weights:
                allowed = ", ".join(policy.only_weights)
                yield Reason("reject", "formats.weights", f"Weights must be {allowed}, not {kind}.", entry.path)
    for pattern in policy.required_files:
        if not any(fnmatch.fnmatchcase(entry.path, pattern) for entry in manifest.files):
            yield Reason("reject", "files.required", f"No file matches {pattern}.")
    if policy.max_size is not None and manifest.size > policy.max_size:
        text = f"The model has {manifest.size} bytes, {policy.max_size} are allowed."
        yield Reason("reject", "files.max_size", text)


def _missing(card: ModelCard, policy: Policy) -> Iterator[Reason]:
    """Yield a reason for each file that the model's own indexes name and it lacks: without it nothing can load it."""
    effect = effect_of("files.missing", "error", policy)
    missing = card.get("missing_files")
    if effect != "ignore" and isinstance(missing, dict):
        for path, named_by in sorted(missing.items()):
            yield Reason(effect, "files.missing", f"It is not there, but {named_by} names it.", path)


def _names(manifest: Manifest, policy: Policy) -> Iterator[Reason]:
    """Yield a reason for each name that some systems cannot hold: there the file is another one, or missing."""
    effect = effect_of("names.unportable", "warning", policy)
    if effect != "ignore":
        for path, why in unportable(manifest.by_path).items():
            yield Reason(effect, "names.unportable", why, path)


def _waived(reason: Reason, manifest: Manifest, policy: Policy, now: datetime) -> Reason:
    entry = manifest.by_path.get(reason.path)
    digest = str(entry.digest) if entry else ""
    for waiver in policy.waivers:
        expired = waiver.until is not None and now.date() > waiver.until
        for_file = waiver.files == digest or fnmatch.fnmatchcase(reason.path, waiver.files)
        if reason.effect == "reject" and waiver.rule == reason.rule and for_file and not expired:
            text = f"{reason.message} Waived by {waiver.by}: {waiver.reason}"
            return Reason("waive", reason.rule, text, reason.path, reason.report)
    return reason
