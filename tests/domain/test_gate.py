from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from weighbridge.domain.bundle import scanned_by
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.deltas import delta_report
from weighbridge.domain.digest import Digest
from weighbridge.domain.gate import decide
from weighbridge.domain.licences import LicenceRules
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.policy import Policy, Waiver, validate
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import NOT_APPLICABLE, WINDOWED, Finding, ScanReport
from weighbridge.errors import InvalidConfiguration

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = Digest.sha256(b"weights")
MODEL = Manifest(ModelRef.parse("mock:o/n@1"), (FileEntry("model.safetensors", 7, DIGEST),))
CARD = ModelCard({"licence": Field("Apache-2.0", "README.md#license")})
OFFICIAL = (("database", "official"), ("database_date", "2026-11-20"))


def report(scanner: str, **fields: object) -> ScanReport:
    engine = OFFICIAL if scanner == "clamav" else ()
    plain = ScanReport(DIGEST, scanner, "1", "rules", "safetensors", "completed", 7, 7, engine=engine)
    return replace(plain, **fields)  # type: ignore[arg-type]


CLEAN = [report(scanner) for scanner in ("archives", "clamav", "formats", "pickles")]


def judge(*changed: ScanReport, policy: str | Policy = "standard", card: ModelCard = CARD) -> Decision:
    names = {found.scanner for found in changed}
    reports = [found for found in CLEAN if found.scanner not in names] + list(changed)
    return decide(MODEL, reports, card, PRESETS[policy] if isinstance(policy, str) else policy, NOW)


def rules(decision: Decision, effect: str = "reject") -> list[str]:
    return [reason.rule for reason in decision.reasons if reason.effect == effect]


@pytest.mark.parametrize("preset", ["paranoid", "strict", "standard", "minimal"])
def test_a_clean_model_passes(preset: str) -> None:
    decision = judge(policy=preset)
    assert decision.verdict == "PASSED"
    assert decision.reasons == ()
    assert len(decision.reports) == 4


@pytest.mark.parametrize("preset", ["quick", "none"])
def test_without_a_content_scanner_nothing_passes(preset: str) -> None:
    reports = [found for found in CLEAN if found.scanner != "clamav"]
    decision = decide(MODEL, reports, CARD, PRESETS[preset], NOW)
    assert decision.verdict == "SKIPPED"
    assert rules(decision, "warn") == ["coverage"]


@pytest.mark.parametrize("status", ["failed", "skipped", "partial"])
@pytest.mark.parametrize("scanner", ["archives", "clamav", "formats", "pickles"])
def test_whatever_was_not_seen_fails_closed(scanner: str, status: str) -> None:
    broken = report(scanner, status=status, reason="crashed", bytes_covered=3)
    assert judge(broken).verdict == "FAILED"


def test_a_missing_report_fails_closed() -> None:
    decision = decide(MODEL, CLEAN[1:], CARD, PRESETS["standard"], NOW)
    assert decision.verdict == "FAILED"
    assert rules(decision) == ["scanners.required"]


def test_not_applicable_is_no_gap() -> None:
    assert judge(report("pickles", status="skipped", reason=NOT_APPLICABLE, bytes_covered=0)).verdict == "PASSED"


def test_clamav_cannot_be_not_applicable_and_pass() -> None:
    assert judge(report("clamav", status="skipped", reason=NOT_APPLICABLE, bytes_covered=0)).verdict != "PASSED"


def test_windows_count_where_they_are_allowed() -> None:
    windowed = report("clamav", status="partial", reason=WINDOWED)
    assert judge(windowed).verdict == "PASSED"
    assert judge(windowed, policy="paranoid").verdict == "FAILED"


def test_completed_but_short_is_not_covered() -> None:
    assert judge(report("clamav", bytes_covered=6)).verdict == "SKIPPED"


@pytest.mark.parametrize(("level", "verdict"), [("error", "FAILED"), ("warning", "PASSED"), ("note", "PASSED")])
def test_findings_count_by_level(level: str, verdict: str) -> None:
    finding = Finding("pickle.global", level, "os.system")  # type: ignore[arg-type]
    assert judge(report("pickles", findings=(finding,))).verdict == verdict


def test_paranoid_rejects_warnings() -> None:
    finding = Finding("template.odd", "warning", "odd")
    assert judge(report("formats", findings=(finding,)), policy="paranoid").verdict == "FAILED"


def test_the_most_specific_rule_counts() -> None:
    policy = replace(PRESETS["standard"], rules=(("pickle", "reject"), ("pickle.unknown-global", "warn")))
    unknown = report("pickles", findings=(Finding("pickle.unknown-global", "warning", "x"),))
    other = report("pickles", findings=(Finding("pickle.other", "warning", "x"),))
    assert judge(unknown, policy=policy).verdict == "PASSED"
    assert judge(other, policy=policy).verdict == "FAILED"


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ((("database", "test-only"),), "FAILED"),
        ((("database", "official"),), "FAILED"),
        ((("database", "official"), ("database_date", "2026-10-01")), "FAILED"),
        ((("database", "official"), ("database_date", "2026-11-01")), "PASSED"),
    ],
)
def test_signatures_must_be_real_and_young(facts: tuple[tuple[str, str], ...], verdict: str) -> None:
    assert judge(report("clamav", engine=facts)).verdict == verdict


def test_a_test_only_database_is_named_even_where_it_is_let_through() -> None:
    decision = judge(report("clamav", engine=(("database", "test-only"),)), policy="minimal")
    assert decision.verdict == "PASSED"
    assert rules(decision, "warn") == ["scanners.database"]


def test_what_another_installation_scanned_is_named_and_may_be_refused() -> None:
    elsewhere = [scanned_by(found, "office", "2026-11-20T08:00:00+00:00") for found in CLEAN]
    decision = judge(*elsewhere)
    assert (decision.verdict, rules(decision, "warn")) == ("PASSED", ["scanners.elsewhere"])
    assert decision.reasons[0].message == "It was scanned at office on 2026-11-20, not here."
    assert rules(judge(*elsewhere, policy="paranoid")) == ["scanners.elsewhere"]
    refusing = replace(PRESETS["standard"], rules=(("scanners.elsewhere", "reject"),))
    assert judge(*elsewhere, policy=refusing).verdict == "FAILED"
    ignoring = replace(PRESETS["standard"], rules=(("scanners.elsewhere", "ignore"),))
    assert judge(*elsewhere, policy=ignoring).reasons == ()


def test_denied_formats_reject() -> None:
    pickled = [replace(found, subject="pickle") for found in CLEAN]
    decision = decide(MODEL, pickled, CARD, PRESETS["paranoid"], NOW)
    assert "formats.denied" in rules(decision)
    other = [replace(found, subject="onnx") for found in CLEAN]
    assert "formats.weights" in rules(decide(MODEL, other, CARD, PRESETS["paranoid"], NOW))


@pytest.mark.parametrize(
    ("path", "formats", "verdict", "effect"),
    [
        ("model.safetensors", ["pickle"], "FAILED", "reject"),
        ("picture.png", ["executable"], "FAILED", "reject"),
        ("config.json", ["unknown"], "PASSED", "warn"),
        ("model.safetensors", ["safetensors"], "PASSED", ""),
        ("config.json", ["json", "text"], "PASSED", ""),  # The same bytes are a text under another name.
    ],
)
def test_a_name_that_lies_about_the_content_counts(path: str, formats: list[str], verdict: str, effect: str) -> None:
    model = Manifest(MODEL.ref, (FileEntry(path, 7, DIGEST),))
    reports = [replace(found, subject=kind) for found in CLEAN for kind in formats]
    decision = decide(model, reports, CARD, PRESETS["standard"], NOW)
    assert decision.verdict == verdict
    assert [(reason.effect, reason.rule) for reason in decision.reasons] == (
        [(effect, "format.mismatch")] if effect else []
    )
    strict = decide(model, reports, CARD, PRESETS["strict"], NOW)
    assert ("format.mismatch" in rules(strict)) == bool(effect)


def test_required_files_and_size() -> None:
    policy = replace(PRESETS["standard"], required_files=("config.json", "*.safetensors"), max_size=6)
    assert rules(judge(policy=policy)) == ["files.max_size", "files.required"]


@pytest.mark.parametrize(
    ("licence", "rules_", "verdict"),
    [
        ("", LicenceRules(unknown="reject"), "FAILED"),
        ("", LicenceRules(), "PASSED"),
        ("cc-by-nc-4.0", LicenceRules(non_commercial="reject"), "FAILED"),
        ("MIT OR GPL-3.0-only", LicenceRules(deny=("gpl*",)), "FAILED"),
        ("MIT", LicenceRules(allow=("apache-2.0",)), "FAILED"),
        ("MIT", LicenceRules(allow=("mit", "apache-*")), "PASSED"),
        ("our-own", LicenceRules(unknown="reject"), "FAILED"),
    ],
)
def test_licences(licence: str, rules_: LicenceRules, verdict: str) -> None:
    card = ModelCard({"licence": Field(licence, "README.md")} if licence else {})
    assert judge(policy=replace(PRESETS["standard"], licence=rules_), card=card).verdict == verdict


def test_a_waiver_is_named_bounded_and_expires() -> None:
    finding = Finding("pickle.global", "error", "os.system")
    bad = report("pickles", findings=(finding,))

    def under(waiver: Waiver) -> Decision:
        return judge(bad, policy=replace(PRESETS["standard"], waivers=(waiver,)))

    waived = under(Waiver("pickle.global", "*.safetensors", "known", "Ada", date(2026, 11, 21)))
    assert waived.verdict == "PASSED"
    assert "Waived by Ada: known" in waived.reasons[0].message
    assert under(Waiver("pickle.global", str(DIGEST), "known", "Ada")).verdict == "PASSED"
    assert under(Waiver("pickle.global", "*", "known", "Ada", date(2026, 11, 20))).verdict == "FAILED"
    assert under(Waiver("pickle.other", "*", "known", "Ada")).verdict == "FAILED"
    assert under(Waiver("pickle.global", "*.bin", "known", "Ada")).verdict == "FAILED"


def test_waiving_unread_bytes_does_not_make_them_read() -> None:
    policy = replace(PRESETS["standard"], waivers=(Waiver("scanners.required", "*", "hurry", "Bob"),))
    assert judge(report("clamav", status="failed", reason="died", bytes_covered=0), policy=policy).verdict == "SKIPPED"


def test_a_model_without_files_fails() -> None:
    empty = Manifest(MODEL.ref, ())
    assert decide(empty, [], CARD, PRESETS["minimal"], NOW).verdict == "FAILED"


def test_an_empty_policy_is_invalid() -> None:
    with pytest.raises(InvalidConfiguration):
        validate(Policy("mine", ()))


def test_decisions_read_back() -> None:
    decision = judge(report("pickles", findings=(Finding("pickle.global", "error", "os.system"),)))
    assert Decision.from_json(decision.to_json()) == decision


def test_the_same_bytes_under_two_names_are_judged_by_each_name() -> None:
    """`b.foo` is of an unknown format; `a.txt`, with the same content, is a text."""
    files = (FileEntry("a.txt", 7, DIGEST), FileEntry("b.foo", 7, DIGEST))
    model = Manifest(ModelRef.parse("mock:o/n@1"), files)
    unknown = Finding("format.unknown", "warning", "Nothing tells what it is.")
    reports = [replace(found, subject="text") for found in CLEAN]
    reports += [replace(found, subject="unknown") for found in CLEAN if found.scanner != "formats"]
    reports.append(report("formats", subject="unknown", findings=(unknown,)))
    decision = decide(model, reports, CARD, PRESETS["strict"], NOW)
    assert {reason.path for reason in decision.reasons} == {"b.foo"}


def test_a_file_that_lacks_the_reports_of_its_own_format_is_not_covered_by_those_of_another() -> None:
    files = (FileEntry("a.txt", 7, DIGEST), FileEntry("a.py", 7, DIGEST))
    model = Manifest(ModelRef.parse("mock:o/n@1"), files)
    reports = [replace(found, subject="text") for found in CLEAN]
    reports += [replace(found, subject="python") for found in CLEAN if found.scanner != "pickles"]
    decision = decide(model, reports, CARD, PRESETS["standard"], NOW)
    assert [(reason.rule, reason.path) for reason in decision.reasons] == [("scanners.required", "a.py")]


def test_a_test_only_database_is_told_whether_the_policy_requires_the_scanner_or_not() -> None:
    test_only = report("clamav", engine=(("database", "test-only"),))
    for preset in ("quick", "none", "minimal"):
        decision = judge(test_only, policy=preset)
        assert "scanners.database" in rules(decision, "warn")


def test_a_rule_that_is_named_counts_at_every_level_and_its_area_for_warnings_and_errors() -> None:
    note = report("pickles", findings=(Finding("pickle.disagreement", "note", "They differ."),))
    area = replace(PRESETS["standard"], rules=(("pickle", "reject"),))
    named = replace(area, rules=(("pickle", "ignore"), ("pickle.disagreement", "reject")))
    assert judge(note, policy=area).verdict == "PASSED"
    assert judge(note, policy=named).verdict == "FAILED"


@pytest.mark.parametrize(
    ("name", "verdict"), [("handler.py", "FAILED"), ("train.py", "PASSED"), ("pipeline.py", "PASSED")]
)
def test_code_that_is_run_because_of_its_name_is_judged_by_its_name(name: str, verdict: str) -> None:
    model = Manifest(ModelRef.parse("mock:o/n@1"), (FileEntry(name, 7, DIGEST),))
    reports = [replace(found, subject="python") for found in CLEAN]
    decision = decide(model, reports, CARD, PRESETS["standard"], NOW)
    assert decision.verdict == verdict
    assert decide(model, reports, CARD, PRESETS["paranoid"], NOW).verdict == (
        "PASSED" if name == "train.py" else "FAILED"
    )


def test_strict_lets_tensors_in_and_neither_objects_nor_code() -> None:
    found = {
        "pickle.objects": ("note", "FAILED"),
        "pickle.engine": ("warning", "PASSED"),
        "pickle.disagreement": ("note", "PASSED"),
        "code.python": ("warning", "FAILED"),
        "format.unknown": ("warning", "FAILED"),
        "template.invalid": ("warning", "FAILED"),
    }
    for rule, (level, verdict) in found.items():
        noted = report("pickles", findings=(Finding(rule, level, "It is so."),))  # type: ignore[arg-type]
        assert judge(noted, policy="strict").verdict == verdict, rule


def delta(whole_date: str = "2026-11-10", **fields: object) -> ScanReport:
    """Return a delta report on the same blob, as `deltas.delta_report` makes it."""
    earlier = report("clamav", engine=(("database", "official"), ("database_date", whole_date)))
    return replace(delta_report(report("clamav"), earlier, ("b", "a", "d"), "2020-01-01"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "whole_date", "rejecting"),
    [
        ("paranoid", "2026-11-20", ["scanners.delta"]),
        ("strict", "2026-11-14", []),
        ("strict", "2026-11-13", ["scanners.delta"]),
        ("standard", "2026-10-22", []),
        ("standard", "2026-10-21", ["scanners.delta"]),
        ("minimal", "2026-11-10", []),
        (replace(PRESETS["standard"], whole_every_days=None), "2020-01-01", []),
        (replace(PRESETS["standard"], delta=False), "2026-11-20", ["scanners.delta"]),
        (replace(PRESETS["standard"], whole_every_days=0), "2026-11-21", []),
    ],
)
def test_a_policy_says_whether_a_delta_scan_counts(policy: str | Policy, whole_date: str, rejecting: list[str]) -> None:
    assert rules(judge(delta(whole_date), policy=policy)) == rejecting


def test_a_delta_report_that_does_not_say_when_the_last_whole_scan_was_is_due() -> None:
    undated = delta(engine=(("database", "official"), ("database_date", "2026-11-20"), ("mode", "delta")))
    assert rules(judge(undated)) == ["scanners.delta"]
    assert rules(judge(replace(undated, engine=(*OFFICIAL, ("whole_date", "yesterday"))))) == ["scanners.delta"]


def test_a_delta_report_carries_the_date_of_the_last_whole_scan_along() -> None:
    first = delta("2026-11-01")
    second = delta_report(report("clamav"), first, ("a", "c", "e"), "2026-11-20")
    facts = dict(second.engine)
    assert (facts["whole_date"], facts["builds_on"]) == ("2026-11-01", first.id)
    assert facts["whole_report"] == dict(first.engine)["builds_on"]
    without = delta_report(report("clamav"), report("clamav", engine=()), ("a", "c", "e"), "2026-11-20")
    assert dict(without.engine)["whole_date"] == "2026-11-20"


def test_a_whole_report_counts_before_a_delta_report() -> None:
    late, whole = delta("2020-01-01"), report("clamav")
    decision = judge(late, whole)
    assert (decision.verdict, late.id in decision.reports, whole.id in decision.reports) == ("PASSED", False, True)
    other = replace(whole, rules="older")
    assert rules(judge(late, other)) == ["scanners.delta"]


def test_a_delta_report_with_a_finding_rejects_all_the_same() -> None:
    found = delta(findings=(Finding("clamav.signature", "error", "ClamAV recognises X."),))
    assert "clamav.signature" in rules(judge(found))
