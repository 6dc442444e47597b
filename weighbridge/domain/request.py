"""A request: one model to take in, and what the user already knows about it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, InvalidReference

#: The models file of a folder, where nothing else names one.
MODELS_FILE = "models.yaml"
_NAR = "nar:"


class Pins(NamedTuple):
    """The digests that a user expects of a model; None where the user expects nothing.

    Attributes:
        hash: the manifest digest.
        nar: the sha256 of the tree's Nix archive.
    """

    hash: Digest | None = None
    nar: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Pins:
        """Read `sha256:…` or SRI for the manifest digest, `nar:` before either for the archive's; empty for neither.

        A space separates the two.

        Raises:
            InvalidConfiguration: a word is not such a digest, or one is given twice.
        """
        found: dict[str, Digest] = {}
        for word in text.split():
            name = "nar" if word.startswith(_NAR) else "hash"
            digest = Digest.parse(word.removeprefix(_NAR))
            if name in found:
                raise InvalidConfiguration(f"“{text}” names two digests for one thing.", "Keep one of them.")
            if digest.algorithm != "sha256":
                raise InvalidConfiguration(f"“{word}” is not a sha256.", "Weighbridge compares models by sha256 only.")
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
        name: its name in the catalog; the source's own name when empty.
        hash: the manifest digest it must have, or None.
        nar: the sha256 that the Nix archive of its tree must have, or None.
        version: the semantic version it gets; computed when empty.
        policy: preset or policy file; the configured one when empty.
        auth: where the credentials are kept.
        registries: where to publish; the configured ones when empty.
        another_source: whether an existing name may continue with another source; only models.yaml sets it.
        locked: whether it must be exactly what the lock beside `models` holds.
        models: the models file; its lock is in the same folder.
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
    locked: bool = False
    models: str = MODELS_FILE

    @property
    def model(self) -> str:
        """The model's name in the catalog."""
        return self.name or self.ref.name

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, which `from_json` reads back; they hold no secret and may be stored in clear.

        Raises:
            InvalidReference: its URL is signed.
        """
        return {
            "uri": unsigned(self.ref).uri,
            "name": self.name,
            "hash": str(Pins(self.hash, self.nar)),
            "version": self.version,
            "policy": self.policy,
            "registries": list(self.registries),
            "another_source": self.another_source,
            "token_env": self.auth.token_env,
            "token_file": self.auth.token_file,
            "auth_block": self.auth.block,
            "locked": self.locked,
            "models": self.models,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the request that `to_json` wrote, or one from parameters of the same names; only `uri` is required.

        Raises:
            InvalidReference, InvalidConfiguration: a value cannot be read, or the URL is signed.
        """
        pins = Pins.parse(content.get("hash", ""))
        names = ("name", "version", "policy", "another_source", "locked", "models")
        return cls(
            ref=unsigned(ModelRef.parse(content["uri"])),
            hash=pins.hash,
            nar=pins.nar,
            auth=AuthPlace(*(content.get(name, "") for name in ("token_env", "token_file", "auth_block"))),
            registries=tuple(content.get("registries", ())),
            **{name: content[name] for name in names if name in content},
        )


def unsigned(ref: ModelRef) -> ModelRef:
    """Return a reference that holds no credentials. Raises InvalidReference for a signed URL."""
    if ref.secret:
        raise InvalidReference(
            f"The query of the URL {ref.uri} holds credentials (a signature or a token), and the parameters of a run "
            "are kept in clear.",
            "Give the URL without them and name a place of the secret: auth_block with Web Credentials, token_env or "
            "token_file; for a bucket, s3://bucket/key with S3 Credentials. Or use the command line with --via direct. "
            "Credentials that a run was given are known to everybody who sees its runs: have them replaced.",
            uri=ref.uri,
        )
    return ref
