"""The memory that a model needs: weights, cache and overhead, each with a range and its source; and the cards it fits.

It answers "how much for so many tokens" and "how many tokens fit on this card". It is a range since engines differ.
Not here: what the Hub's list shows (listing), drawing it (views).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.estimates.cache import CacheSize, cache_size, most_tokens
from weighbridge.domain.estimates.config_network import config_network, keeps_cache
from weighbridge.domain.estimates.evidence import Evidence, Portion, WeightsEstimate, weights_estimate
from weighbridge.domain.estimates.gguf_network import gguf_network
from weighbridge.domain.estimates.network import Network
from weighbridge.domain.estimates.plausible import part, whole
from weighbridge.domain.estimates.shown import GIGABYTE

#: Contexts that are told besides the model's own.
CONTEXTS = (4_096, 32_768)
#: Memory of the cards that are looked at, in decimal gigabytes.
CARDS = (24, 80, 141)
#: What a context of CUDA and an engine's own buffers take at least and at most.
_ENGINE = (300_000_000, 700_000_000)
#: Tokens that an engine works on at once, of which each has a number for every word that it knows.
_AT_ONCE = 512
#: The most that scores of attention take where an engine computes them one layer after the other.
_MOST_SCORES = 2 * GIGABYTE
#: What fragments of memory add to weights.
_FRAGMENTS = 0.02


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a model needs for a number of tokens.

    Attributes:
        tokens: of each sequence.
        portions: weights, cache and overhead, as far as they are known.
    """

    tokens: int
    portions: tuple[Portion, ...]

    @property
    def low(self) -> int:
        """Bytes that it needs at least."""
        return sum(portion.low for portion in self.portions)

    @property
    def high(self) -> int:
        """Bytes that it needs at most."""
        return sum(portion.high for portion in self.portions)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        parts = [portion.to_json() for portion in self.portions]
        return {"tokens": self.tokens, "low": self.low, "high": self.high, "parts": parts}


@dataclass(frozen=True, slots=True)
class CardFit:
    """Whether a model fits a card, and how many tokens there is room for.

    Attributes:
        card: the card's memory in decimal gigabytes.
        fits: `yes`, `no`, or `perhaps` where the engine decides.
        tokens: that fit in any engine; None where the cache is unknown.
        most_tokens: that fit in the engine that needs least; None where the cache is unknown.
    """

    card: int
    fits: str
    tokens: int | None
    most_tokens: int | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"card_gb": self.card, "fits": self.fits, "tokens": self.tokens, "most_tokens": self.most_tokens}


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a model needs.

    Attributes:
        weights: how many weights, and the memory that they take.
        context: tokens that it was made for, or None.
        attention: how it keeps what it has read: `attention`, `sliding window`, `latent attention`, `hybrid`,
            `state space`, `none`; empty where unknown.
        needs: for some numbers of tokens, the model's longest context last.
        fits: for each card.
        unpacked: bytes of the cache for the longest of `needs` in an engine that keeps the heads of latent
            attention; None for any other kind.
    """

    weights: WeightsEstimate
    context: int | None
    attention: str
    needs: tuple[MemoryNeed, ...]
    fits: tuple[CardFit, ...]
    unpacked: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "parameters": self.weights.parameters,
            "active_parameters": self.weights.active,
            "parameters_from": self.weights.source,
            "context_length": self.context,
            "attention": self.attention,
            "needs": [need.to_json() for need in self.needs],
            "cards": [fit.to_json() for fit in self.fits],
            "cache_unpacked": self.unpacked,
        }


def estimate(
    evidence: Evidence,
    contexts: Sequence[int] = CONTEXTS,
    sequences: int = 1,
    cache: str = "f16",
    cards: Sequence[int] = CARDS,
) -> Requirements:
    """Return what a model needs by what is known of it; never raises, whatever that is.

    Args:
        evidence: what is known.
        contexts: tokens for which it is told, besides the model's own longest context.
        sequences: how many at once.
        cache: type of the cache: f16, fp8, q8_0 (`cache.CACHE_BITS`).
        cards: their memory in decimal gigabytes.
    """
    weights = weights_estimate(evidence)
    network = _network(evidence)
    context = network.context if network else None
    if context is None:
        context = whole(part(evidence.__dict__, "gguf").get("context_length"))
    need = _Need(weights, network, sequences, cache)
    lengths = sorted({length for length in contexts if length > 0 and (context is None or length <= context)})
    if context and context not in lengths:
        lengths.append(context)
    needs = tuple(MemoryNeed(length, need.portions(length)) for length in lengths) if weights.portion else ()
    fits = tuple(need.fit(card, context) for card in cards) if weights.portion else ()
    last = need.cache(lengths[-1]) if lengths else None
    return Requirements(weights, context, network.kind if network else "", needs, fits, last.unpacked if last else None)


class _Need:
    """What a model needs, as a function of the tokens."""

    def __init__(self, weights: WeightsEstimate, network: Network | None, sequences: int, kind: str) -> None:
        self._weights = weights
        self._network = network
        self._sequences = sequences
        self._kind = kind

    def cache(self, tokens: int) -> CacheSize | None:
        return cache_size(self._network, tokens, self._sequences, self._kind) if self._network else None

    def portions(self, tokens: int) -> tuple[Portion, ...]:
        """Return weights, cache and overhead; nothing where the weights are unknown."""
        weights = self._weights.portion
        if weights is None:
            return ()
        held = self.cache(tokens)
        known = [weights]
        if held and self._network:
            known.append(Portion("cache", held.low, held.high, f"{self._network.source}: {self._network.kind}"))
        return (*known, self._overhead(weights, tokens))

    def _overhead(self, weights: Portion, tokens: int) -> Portion:
        low, high = _ENGINE[0], _ENGINE[1] + round(weights.high * _FRAGMENTS)
        if network := self._network:
            words = _AT_ONCE * network.vocabulary * 4
            scores = 2 * network.heads * _AT_ONCE * tokens * 4
            high += min(words, _MOST_SCORES) + min(scores, _MOST_SCORES)
        return Portion("overhead", low, high, "usual engines: their context, buffers for 512 tokens at once")

    def fit(self, card: int, context: int | None) -> CardFit:
        """Return whether it fits a card, and with how many tokens."""
        room = card * GIGABYTE
        least, most = self._total(1, least=True), self._total(1, least=False)
        fits = "yes" if most <= room else "perhaps" if least <= room else "no"
        if self._network is None or not keeps_something(self._network):
            return CardFit(card, fits, None, None)
        tokens = most_tokens(lambda number: self._total(number, least=False), room, context)
        more = most_tokens(lambda number: self._total(number, least=True), room, context)
        return CardFit(card, fits, tokens, more)

    def _total(self, tokens: int, *, least: bool) -> int:
        return sum(portion.low if least else portion.high for portion in self.portions(tokens))


def keeps_something(network: Network) -> bool:
    """Return whether a network's cache grows with what it has read."""
    return any(layer.values for layer, _ in network.groups)


def _network(evidence: Evidence) -> Network | None:
    """Return the network by GGUF's metadata, else by a configuration of a model that answers token by token."""
    if isinstance(evidence.metadata, Mapping) and (found := gguf_network(evidence.metadata)):
        return found
    config = evidence.config
    return config_network(config) if isinstance(config, Mapping) and keeps_cache(config) else None
