"""A request: one model that somebody wants inside, and what they already know about it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from weighbridge.credentials import AuthPlace
from weighbridge.digest import Digest
from weighbridge.ref import ModelRef


@dataclass(frozen=True)
class IngestRequest:
    """One model to take in.

    Attributes:
        ref: where it comes from.
        name: the name it gets here; the source's own name when empty.
        hash: the manifest digest it must have, or None.
        version: the semantic version it shall get; computed when empty.
        policy: preset or policy file; the configured one when empty.
        auth: where the credentials are kept.
        registries: where to publish; the configured ones when empty.
    """

    ref: ModelRef
    name: str = ""
    hash: Digest | None = None
    version: str = ""
    policy: str = ""
    auth: AuthPlace = field(default_factory=AuthPlace)
    registries: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The model's name in the catalog."""
        return self.name or self.ref.name
