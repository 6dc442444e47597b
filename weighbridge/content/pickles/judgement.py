"""What our own list says of a walked pickle: what it names that harms, what nobody knows, and which objects it holds.

Not here: what the other engines say (engines), and what a judgement leads to (scanners.pickles).
"""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.content.pickles.globals import allowed, classify
from weighbridge.content.pickles.machine import Walked


@dataclass(frozen=True)
class Judgement:
    """What a pickle's globals, and its uses of them, come to.

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
        """Whether every global is on the list and used as it allows."""
        return not self.harmful and not self.unknown


def judge(walked: Walked) -> Judgement:
    """Return what a walk's globals come to, each kind sorted."""
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
