"""Refusals: what is wrong with an archive ends its unpacking, as programs may differ in what they see in an odd one.

Not here: which problems are serious (archive, wheel), and what a scanner makes of them (scanners.archives).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weighbridge.content.archives import Problem
from weighbridge.errors import SourceMisbehaved, UnsafePath, WeighbridgeError

#: Problems of a member's name or kind.
NAMES = frozenset(
    {"archive.unsafe-name", "archive.duplicate", "archive.case-collision", "archive.link", "archive.device"}
)
#: What says more than other problems of the same archive.
_FIRST = frozenset({"archive.bomb", "archive.overlap"})
_REBUILD = "Its publisher has to build it anew."


def refuse(what: str, problems: Iterable[Problem], remedies: Mapping[str, str]) -> None:
    """Raise for the first of an archive's serious problems, if there is one.

    Args:
        what: the word for the archive.
        problems: the serious ones.
        remedies: what to do, by rule, where its publisher need not know.
    """
    serious = list(problems)
    if not serious:
        return
    problem = next((found for found in serious if found.rule in _FIRST), serious[0])
    kind: type[WeighbridgeError] = UnsafePath if problem.rule in NAMES else SourceMisbehaved
    where = f" at {problem.location}" if problem.location else ""
    raise kind(
        f"The {what} is not unpacked: {problem.message.rstrip('.')}{where} ({problem.rule}).",
        f"Nothing of it was published. {remedies.get(problem.rule, _REBUILD)}",
        rule=problem.rule,
        path=problem.location,
    )
