"""Licences: what the common ones allow, and whether a policy lets a model's licence in. Pure.

Not here: finding out which licence a model has (headers.licences).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from license_expression import Licensing, get_spdx_licensing

from weighbridge.domain.card import ModelCard

Effect = Literal["reject", "warn", "ignore"]


@dataclass(frozen=True)
class Licence:
    """What a licence allows.

    Attributes:
        commercial: whether the model may earn money.
        derivatives: whether changed models may be passed on.
        note: the condition worth knowing, or empty.
    """

    commercial: bool
    derivatives: bool
    note: str = ""


#: By lowercase identifier: SPDX where there is one, else the Hub's own word (spec 4, hub documentation on licences).
LICENCES = {
    "apache-2.0": Licence(True, True),
    "mit": Licence(True, True),
    "bsd-2-clause": Licence(True, True),
    "bsd-3-clause": Licence(True, True),
    "bsd-3-clause-clear": Licence(True, True),
    "isc": Licence(True, True),
    "unlicense": Licence(True, True),
    "cc0-1.0": Licence(True, True),
    "cc-by-4.0": Licence(True, True, "name the author"),
    "cc-by-sa-4.0": Licence(True, True, "pass on under the same licence"),
    "cc-by-nd-4.0": Licence(True, False),
    "cc-by-nc-4.0": Licence(False, True, "not commercial"),
    "cc-by-nc-sa-4.0": Licence(False, True, "not commercial"),
    "cc-by-nc-nd-4.0": Licence(False, False, "not commercial"),
    "gpl-3.0": Licence(True, True, "pass on under the same licence"),
    "gpl-3.0-only": Licence(True, True, "pass on under the same licence"),
    "gpl-3.0-or-later": Licence(True, True, "pass on under the same licence"),
    "agpl-3.0": Licence(True, True, "pass on under the same licence, also as a service"),
    "agpl-3.0-only": Licence(True, True, "pass on under the same licence, also as a service"),
    "lgpl-3.0": Licence(True, True),
    "mpl-2.0": Licence(True, True),
    "openrail": Licence(True, True, "restricted uses"),
    "openrail++": Licence(True, True, "restricted uses"),
    "creativeml-openrail-m": Licence(True, True, "restricted uses"),
    "bigscience-openrail-m": Licence(True, True, "restricted uses"),
    "bigcode-openrail-m": Licence(True, True, "restricted uses"),
    "llama2": Licence(True, True, "up to 700 million monthly users"),
    "llama3": Licence(True, True, "up to 700 million monthly users"),
    "llama3.1": Licence(True, True, "up to 700 million monthly users"),
    "llama3.2": Licence(True, True, "up to 700 million monthly users"),
    "llama3.3": Licence(True, True, "up to 700 million monthly users"),
    "llama4": Licence(True, True, "up to 700 million monthly users"),
    "llama-3.1-community": Licence(True, True, "up to 700 million monthly users"),
    "gemma": Licence(True, True, "Google's use policy"),
    "mistral-research": Licence(False, False, "research only"),
    "mrl": Licence(False, False, "research only"),
    "openai-tos": Licence(True, False, "API only"),
}


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
        known = LICENCES.get(folded)
        if known is None and not rules.allow and rules.unknown != "ignore":
            yield rules.unknown, "licence.unknown", f"What the licence {name} allows is not known here."
        elif known and not known.commercial and rules.non_commercial != "ignore":
            yield rules.non_commercial, "licence.non-commercial", f"The licence {name} forbids commercial use."


def licence_names(expression: str) -> tuple[str, ...]:
    """Return the licences of an SPDX expression, or the text itself when it is not one.

    All of several alternatives (`MIT OR GPL-3.0-only`) are returned: the policy has to accept each.
    """
    try:
        names = _spdx().license_keys(expression)
    except Exception:  # noqa: BLE001 (beside ExpressionError the parser trips over its own assertions on odd words)
        return (expression,)
    return tuple(sorted({str(name) for name in names})) or (expression,)


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()
