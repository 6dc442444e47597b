"""Whether a policy lets a model's licence in. Pure.

Not here: finding out which licence a model has (headers.licences), what licences allow (domain.licence_table), and
whether a use is allowed (domain.licence_terms).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from weighbridge.domain.card import ModelCard
from weighbridge.domain.licence_names import licence_names
from weighbridge.domain.licence_table import licence_of

Effect = Literal["reject", "warn", "ignore"]


@dataclass(frozen=True)
class LicenceRules:
    """Which licences are let in.

    Attributes:
        allow: patterns such as `apache-2.0` or `cc-by-*`; empty for all that are not denied.
        deny: patterns that reject.
        unknown: what a missing or unrecognised licence leads to.
        non_commercial: what a licence that forbids earning money leads to.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    unknown: Effect = "warn"
    non_commercial: Effect = "warn"


def judge_licence(card: ModelCard, rules: LicenceRules) -> Iterator[tuple[Literal["reject", "warn"], str, str]]:
    """Yield (effect, rule, message) for each objection to a card's licence."""
    stated = card.get("licence")
    if not stated:
        if rules.unknown != "ignore":
            yield rules.unknown, "licence.unknown", "The model states no licence."
        return
    for name in licence_names(str(stated)):
        folded = name.lower()
        if any(fnmatch.fnmatchcase(folded, pattern.lower()) for pattern in rules.deny):
            yield "reject", "licence.denied", f"The licence {name} is denied."
        elif rules.allow and not any(fnmatch.fnmatchcase(folded, pattern.lower()) for pattern in rules.allow):
            yield "reject", "licence.denied", f"The licence {name} is not on the list of allowed ones."
        known = licence_of(name)
        if known is None and not rules.allow and rules.unknown != "ignore":
            yield rules.unknown, "licence.unknown", f"What the licence {name} allows is not known here."
        elif known and not known.commercial and rules.non_commercial != "ignore":
            yield rules.non_commercial, "licence.non-commercial", f"The licence {name} forbids commercial use."
