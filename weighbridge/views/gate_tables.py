"""Tables of the gate: what each preset demands, and the meaning and effect of each rule. For terminal and docs/gate.md.

Not here: the rules (domain.rules), judging by them (domain.gate).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weighbridge.domain.policy import Policy, effect_of
from weighbridge.domain.rules import RULES, Rule

#: What the policy itself judges has no effect by level.
_BY_POLICY = "see above"


def demands(policy: Policy) -> dict[str, str]:
    """Return what a policy demands besides its rules, as labels with texts."""
    licence = policy.licence
    return {
        "must have seen all of every file": ", ".join(policy.required) or "no scanner",
        "findings that reject": f"{policy.reject_at} and above" if policy.reject_at != "error" else "error",
        "virus signatures": _signatures(policy),
        "scans for added signatures only": _deltas(policy),
        "files read in windows": "count as read" if policy.allow_windowed else "do not count as read",
        "formats that are refused": ", ".join(policy.deny_formats) or "none",
        "formats of weights": ", ".join(policy.only_weights) or "any",
        "files that must be there": ", ".join(policy.required_files) or "none",
        "largest model": f"{policy.max_size:,} bytes" if policy.max_size is not None else "any size",
        "licences": ", ".join(licence.allow) or "any",
        "licences that are refused": ", ".join(licence.deny) or "none",
        "no licence, or an unknown one": f"{licence.unknown}s" if licence.unknown != "ignore" else "is ignored",
        "a licence without commercial use": (
            f"{licence.non_commercial}s" if licence.non_commercial != "ignore" else "is ignored"
        ),
        "licences to acknowledge before files are given out": {"never": "none", "always": "all"}.get(
            policy.acknowledge, "those that restrict the use"
        ),
    }


def _signatures(policy: Policy) -> str:
    if policy.database == "any":
        return "any, with a warning when they know the test file only"
    age = policy.max_database_age_days
    return "official ones" + (f", at most {age} days old" if age is not None else "")


def _deltas(policy: Policy) -> str:
    if not policy.delta:
        return "do not count"
    days = policy.whole_every_days
    return "count" + (f", for {days} days from the signatures of the last whole scan" if days is not None else "")


def effect_text(rule: Rule, policy: Policy) -> str:
    """Return the effect of a rule's findings under a policy: rejects, warns, or nothing."""
    if rule.level == "policy":
        return _BY_POLICY
    return {"reject": "rejects", "warn": "warns", "ignore": "is noted"}[effect_of(rule.id, rule.level, policy)]


def rule_rows(policies: Mapping[str, Policy]) -> list[dict[str, Any]]:
    """Return one row a rule: id, level, meaning, example, waiver line, and its effect under each policy."""
    return [
        {
            "rule": rule.id,
            "level": rule.level,
            "meaning": rule.meaning,
            "example": rule.example,
            "lets a model": rule.capability,
            "waiver": rule.waiver,
            "effects": {name: effect_text(rule, policy) for name, policy in policies.items()},
        }
        for rule in RULES.values()
    ]


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in markdown; a bar within a cell is escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def presets_page(policies: Mapping[str, Policy]) -> str:
    """Return the tables of docs/gate.md: demands by preset, then rules by preset."""
    columns = {name: demands(policy) for name, policy in policies.items()}
    first = next(iter(columns.values()))
    table = markdown_table(
        ["the policy", *columns], ([what, *(column[what] for column in columns.values())] for what in first)
    )
    rules = markdown_table(
        ["rule", "level", "what a finding says", "example", *policies, "waiver"],
        (
            [
                *(f"`{row['rule']}`", row["level"], row["meaning"], row["example"]),
                *row["effects"].values(),
                f"`{row['waiver']}`",
            ]
            for row in rule_rows(policies)
        ),
    )
    return f"{table}\n\n{rules}\n"
