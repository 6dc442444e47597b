"""What the gate makes of publishers' signatures: pure, from stored facts and a policy.

A signature that a model brings is a promise of its publisher. A broken promise is an error whoever made it: the bytes
are not those that were signed. Whose promise counts is the policy's choice. Not here: checking signatures
(content.model_signatures).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from weighbridge.domain.manifest import Manifest
from weighbridge.domain.name_patterns import matches
from weighbridge.domain.policy import Policy, effect_of
from weighbridge.domain.publishers import PublisherRule, PublisherSignature, listed
from weighbridge.domain.report import Level
from weighbridge.domain.selection import Selection

Judged = tuple[Literal["reject", "warn"], str, str, str]


def judge_publishers(manifest: Manifest, signatures: Sequence[PublisherSignature], policy: Policy) -> Iterator[Judged]:
    """Yield (effect, rule, message, path) for each objection to a model's signatures.

    1. A signature that is not intact, or over other bytes or more files than the model has, is a broken promise.
    2. Where the policy names publishers for the model's source, a signature that is there must be by one of them, and
       where it requires one, there must be one.
    3. That signature must cover every file but those that the policy lets be unsigned.
    4. Where the policy names nobody, a signature is noted, and files that it does not cover are a warning.

    Args:
        manifest: the model's files.
        signatures: what is known of the signatures among them.
        policy: the rules.
    """
    rules = [rule for rule in policy.publishers if rule.covers(manifest.ref)]
    required = any(rule.required for rule in rules)
    for signature in signatures:
        yield from _broken(signature, manifest, policy)
    readable = [one for one in signatures if not one.problem]
    if rules:
        yield from _demanded(rules, readable, required, manifest, policy)
        return
    for signature in readable:
        yield from _effect("publisher.uncovered", "warning", _uncovered_text(signature.uncovered), signature, policy)
        unknown = "" if signature.signers else "It is signed, and nobody here has said whose signature counts."
        yield from _effect("publisher.unknown", "note", unknown, signature, policy)


def _broken(signature: PublisherSignature, manifest: Manifest, policy: Policy) -> Iterator[Judged]:
    problem = f"It is no signature that can be read: {signature.problem}." if signature.problem else ""
    yield from _effect("publisher.unreadable", "warning", problem, signature, policy)
    invalid = "The signature does not belong to what it says was signed." if signature.intact is False else ""
    yield from _effect("publisher.invalid", "error", invalid, signature, policy)
    yield from _effect("publisher.mismatch", "error", _mismatch_text(signature, manifest), signature, policy)


def _mismatch_text(signature: PublisherSignature, manifest: Manifest) -> str:
    missing = _missing(signature, manifest)
    parts = [
        *([f"other bytes were signed of {listed(signature.mismatched)}"] if signature.mismatched else []),
        *([f"signed files are missing: {listed(missing)}"] if missing else []),
    ]
    return f"The model is not what its publisher signed: {'; '.join(parts)}." if parts else ""


def _missing(signature: PublisherSignature, manifest: Manifest) -> tuple[str, ...]:
    """Return the signed files that are missing, without those that the model's reference leaves out on purpose."""
    chosen = Selection.of(manifest.ref)
    return tuple(path for path in signature.missing if chosen.takes(path))


def _uncovered_text(paths: tuple[str, ...]) -> str:
    return f"The signature does not cover every file: {listed(paths)}." if paths else ""


def _demanded(
    rules: Sequence[PublisherRule],
    signatures: Sequence[PublisherSignature],
    required: bool,
    manifest: Manifest,
    policy: Policy,
) -> Iterator[Judged]:
    named = " or ".join(dict.fromkeys(rule.signer for rule in rules))
    if not signatures:
        if required:
            yield "reject", "publisher.missing", f"The model has no signature; the policy wants one by {named}.", ""
        return
    accepted = [
        (rule, signature)
        for rule in rules
        for signature in signatures
        if (check := signature.check(rule.anchor.id)) is not None and rule.accepts(check)
    ]
    if not accepted:
        for signature in signatures:
            text = f"It is not signed by {named}: {_who(rules, signature)}."
            yield "reject", "publisher.untrusted", text, signature.path
        return
    gaps = [(_unsigned(rule, signature), signature) for rule, signature in accepted]
    left, signature = min(gaps, key=lambda gap: (bool(_mismatch_text(gap[1], manifest)), len(gap[0]), gap[1].path))
    if left and required:
        yield "reject", "publisher.uncovered", _uncovered_text(left), signature.path
    elif left:
        yield from _effect("publisher.uncovered", "warning", _uncovered_text(left), signature, policy)
    broken = _mismatch_text(signature, manifest)
    if broken and required and effect_of("publisher.mismatch", "error", policy) != "reject":
        yield "reject", "publisher.mismatch", broken, signature.path


def _unsigned(rule: PublisherRule, signature: PublisherSignature) -> tuple[str, ...]:
    return tuple(path for path in signature.uncovered if not any(matches(path, one) for one in rule.unsigned))


def _who(rules: Sequence[PublisherRule], signature: PublisherSignature) -> str:
    if signature.signers:
        return f"it is by {', '.join(signature.signers)}"
    checks = [check for rule in rules if (check := signature.check(rule.anchor.id)) is not None]
    problems = dict.fromkeys(check.problem for check in checks if check.problem)
    return "; ".join(problems) or "it was not checked against that"


def _effect(rule: str, level: Level, text: str, signature: PublisherSignature, policy: Policy) -> Iterator[Judged]:
    effect = effect_of(rule, level, policy) if text else "ignore"
    if effect != "ignore":
        yield effect, rule, text, signature.path
