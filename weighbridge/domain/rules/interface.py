"""What a rule of the gate is: an id with a level, a meaning and an example. Not here: the rules (domain.rules)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The highest level of a rule's findings, or `policy` where the policy itself decides the effect.
RuleLevel = Literal["error", "warning", "note", "policy"]
#: What a model with such a finding can do when it is loaded; shown on the first screen of a report.
Capability = Literal[
    "",
    "runs code of the publisher on load",
    "runs a command or reaches the system on load",
    "fetches from elsewhere on load",
    "reads a file outside the model",
    "holds a program",
]


@dataclass(frozen=True)
class Rule:
    """One rule, as policies and reports name it.

    Attributes:
        id: `area.what`, such as `pickle.global`.
        level: of its findings; the highest one where they differ.
        meaning: one sentence: what a finding of this rule means.
        example: what triggers it, as short as possible.
        capability: what it lets the model do; empty where it lets it do nothing.
    """

    id: str
    level: RuleLevel
    meaning: str
    example: str
    capability: Capability = ""

    @property
    def waiver(self) -> str:
        """The line of policy.yaml that lets one blob pass in spite of this rule."""
        return f'{{rule: {self.id}, files: "sha256:…", reason: …, by: …, until: …}}'
