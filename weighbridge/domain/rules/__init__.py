"""Every rule of the gate by id, as data. What a scanner or a policy reports is one of these; docs/gate.md lists them.

A new rule is one line in the table of its area. A test refuses ids that are used and not here, and the reverse.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from weighbridge.domain.rules.archives import RULES as _ARCHIVES
from weighbridge.domain.rules.configurations import RULES as _CONFIGURATIONS
from weighbridge.domain.rules.files import RULES as _FILES
from weighbridge.domain.rules.graphs import RULES as _GRAPHS
from weighbridge.domain.rules.interface import Capability, Rule
from weighbridge.domain.rules.model import RULES as _MODEL
from weighbridge.domain.rules.pickles import RULES as _PICKLES
from weighbridge.domain.rules.tensors import RULES as _TENSORS

__all__ = ["RULES", "Capability", "Rule", "capabilities", "nearest", "rules_below"]

#: By id, in the order of docs/gate.md.
RULES: dict[str, Rule] = {
    rule.id: rule
    for table in (_PICKLES, _CONFIGURATIONS, _FILES, _GRAPHS, _TENSORS, _ARCHIVES, _MODEL)
    for rule in table
}


def rules_below(prefix: str) -> list[Rule]:
    """Return the rules that a name in a policy means: one rule, or all of an area such as `template`."""
    return [rule for rule in RULES.values() if rule.id == prefix or rule.id.startswith(f"{prefix}.")]


def nearest(name: str) -> str:
    """Return the rule or area whose name is most like an unknown one; empty when none is similar."""
    known = [*RULES, *dict.fromkeys(rule.partition(".")[0] for rule in RULES)]
    return next(iter(get_close_matches(name, known, 1)), "")


def capabilities(ids: Iterable[str]) -> tuple[Capability, ...]:
    """Return the capabilities that findings of these rules give a model, each once, worst first."""
    found = {RULES[name].capability for name in ids if name in RULES}
    order = dict.fromkeys(rule.capability for rule in RULES.values() if rule.capability)
    return tuple(capability for capability in order if capability in found)
