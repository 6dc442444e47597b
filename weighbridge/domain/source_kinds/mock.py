"""The source kind `mock`: `mock:org/name`, made up without any network.

Not here: what it is made of (sources.mock).
"""

from __future__ import annotations

import re

from weighbridge.domain.source_kinds.grammar import Parts
from weighbridge.domain.source_kinds.record import SourceKind

_COMMIT = re.compile(r"[0-9a-f]{40}")


def _mistake(parts: Parts) -> str:
    commits = parts.option("commitSha")
    return "" if all(map(_COMMIT.fullmatch, commits)) else "commitSha has 40 lowercase hex digits"


MOCK = SourceKind(
    name="mock",
    schemes=("mock",),
    adapter="weighbridge.sources.mock:MockSource",
    options="weighbridge.config.source_options:MockOptions",
    mistake=_mistake,
    places=frozenset(),
    block="",
)
