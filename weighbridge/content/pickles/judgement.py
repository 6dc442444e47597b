"""The judgement of a walked pickle by our own list: its harmful and unknown globals, and its objects.

Not here: what the other engines say (engines), and what a judgement leads to (scanners.pickles).
"""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.content.pickles.globals import allowed, classify
from weighbridge.content.pickles.machine import Walked


@dataclass(frozen=True)
class Judgement:
    """The judgement of a pickle's globals, and of its uses of them.

    Attributes:
        harmful: globals that harm, and harmful uses of listed ones.
        unknown: globals that are not on the list, and uses of listed ones that it does not allow.
        objects: listed globals that are more than tensors and plain values.
    """

    harmful: tuple[str, ...]
    unknown: tuple[str, ...]
    objects: tuple[str, ...]

    @property
    def harmless(self) -> bool:
        """Return whether every global is on the list and used as it allows."""
        return not self.harmful and not self.unknown


def judge(walked: Walked) -> Judgement:
    """Return the judgement of a walk's globals, each kind sorted."""
    kinds: dict[str, set[str]] = {"dangerous": set(), "unknown": set(), "objects": set()}
    for found in walked.imports:
        entry = allowed(found)
        if entry is None:
            kinds[classify(found)].add(str(found))
        elif entry.objects:
            kinds["objects"].add(str(found))
    for fault in walked.faults:
        # What makes a use of an unlisted global worse is said of the global already.
        if allowed(fault.found) or not fault.found.module:
            kinds["dangerous" if fault.harmful else "unknown"].add(str(fault))
    harmful, unknown, objects = (tuple(sorted(kinds[kind])) for kind in ("dangerous", "unknown", "objects"))
    return Judgement(harmful, unknown, objects)
