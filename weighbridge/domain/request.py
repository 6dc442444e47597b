"""A request: one model that somebody wants inside, and what they already know about it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration

_NAR = "nar:"


class Pins(NamedTuple):
    """What a user expects a model to be; None where they expect nothing.

    Attributes:
        hash: the manifest digest.
        nar: the sha256 of the tree's Nix archive.
    """

    hash: Digest | None = None
    nar: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Pins:
        """Read `sha256:…` or SRI for the manifest digest, `nar:` before either for the archive's; empty for neither.

        Both stand in one text with a space between them.

        Raises:
            InvalidConfiguration: a word is no such digest, or one is given twice.
        """
        found: dict[str, Digest] = {}
        for word in text.split():
            name = "nar" if word.startswith(_NAR) else "hash"
            digest = Digest.parse(word.removeprefix(_NAR))
            if name in found:
                raise InvalidConfiguration(f"“{text}” names two digests for one thing.", "Keep one of them.")
            if digest.algorithm != "sha256":
                raise InvalidConfiguration(f"“{word}” is no sha256.", "Weighbridge compares models by sha256 only.")
            found[name] = digest
        return cls(found.get("hash"), found.get("nar"))

    def __str__(self) -> str:
        """Return the text that `parse` reads back."""
        words = (str(self.hash or ""), f"{_NAR}{self.nar.sri}" if self.nar else "")
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class IngestRequest:
    """One model to take in.

    Attributes:
        ref: where it comes from.
        name: the name it gets here; the source's own name when empty.
        hash: the manifest digest it must have, or None.
        nar: the sha256 that the Nix archive of its tree must have, or None.
        version: the semantic version it shall get; computed when empty.
        policy: preset or policy file; the configured one when empty.
        auth: where the credentials are kept.
        registries: where to publish; the configured ones when empty.
        another_source: the owner's word that a known name may go on with this source; models.yaml gives it.
    """

    ref: ModelRef
    name: str = ""
    hash: Digest | None = None
    nar: Digest | None = None
    version: str = ""
    policy: str = ""
    auth: AuthPlace = field(default_factory=AuthPlace)
    registries: tuple[str, ...] = ()
    another_source: bool = False

    @property
    def model(self) -> str:
        """The model's name in the catalog."""
        return self.name or self.ref.name
