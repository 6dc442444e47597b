"""What of a network decides how much it keeps for each token: its layers in groups that are alike.

Values only. Not here: reading them from a config.json (config_network) or from GGUF metadata (gguf_network), and the
bytes that engines take (cache).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

#: The most values that one layer is believed to keep for one token; the largest known keep a hundredth of it.
MOST_VALUES = 2**24
#: The deepest network that is believed.
MOST_LAYERS = 2_000


@dataclass(frozen=True, slots=True)
class NetworkLayer:
    """One layer, as far as its cache goes.

    Attributes:
        values: numbers that it keeps for one token; 0 for a layer that keeps none.
        window: tokens that it looks back, None for all.
        state: numbers that it keeps once for a sequence, however long it is.
        unpacked: numbers for one token if an engine keeps the heads of latent attention, not what they are made from.
    """

    values: int = 0
    window: int | None = None
    state: int = 0
    unpacked: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A model's layers and its longest context.

    Attributes:
        groups: layers that are alike, with how many there are.
        context: tokens that it was made for, or None.
        source: where that was read: `config`, `gguf`.
        heads: heads of attention in one layer; 0 where unknown.
        vocabulary: tokens that it knows; 0 where unknown.
    """

    groups: tuple[tuple[NetworkLayer, int], ...]
    context: int | None
    source: str
    heads: int = 0
    vocabulary: int = 0

    @property
    def kind(self) -> str:
        """How it keeps what it has read, in a word for a person."""
        layers = [layer for layer, _ in self.groups]
        if any(layer.state for layer in layers):
            return "hybrid" if any(layer.values for layer in layers) else "state space"
        if any(layer.unpacked for layer in layers):
            return "latent attention"
        if any(layer.window for layer in layers):
            return "sliding window"
        return "attention" if any(layer.values for layer in layers) else "none"


def grouped(layers: Iterable[NetworkLayer]) -> tuple[tuple[NetworkLayer, int], ...]:
    """Return layers in groups of equal ones."""
    return tuple(Counter(layers).items())
