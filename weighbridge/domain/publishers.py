"""Publishers' signatures of models: whose signature a policy asks for, and what is known of one that a model has.

Values only. Not here: reading and checking a signature (content.model_signatures), what follows from it
(domain.publisher_rules), and the signatures of viruses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from weighbridge.domain.name_patterns import matches
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import KINDS

AnchorKind = Literal["key", "certificate", "sigstore"]
#: The version of what a `PublisherSignature` says; facts of another one are found out again.
VERSION = 1


@dataclass(frozen=True, order=True)
class Anchor:
    """What a signature is checked against.

    Attributes:
        kind: a public key, the certificate of an authority, or the trusted root of a Sigstore.
        content: PEM, or the JSON of a trusted root; empty for the root that the sigstore library brings.
    """

    kind: AnchorKind
    content: str = ""

    @property
    def id(self) -> str:
        """A short name by its content: `key:sha256:…`."""
        return f"{self.kind}:sha256:{hashlib.sha256(self.content.encode()).hexdigest()}"


@dataclass(frozen=True)
class PublisherRule:
    """Whose signature a policy asks for, of which models.

    Attributes:
        source: pattern of the model's URI without its revision, such as `hf:nvidia/*`; upper and lower case are one.
        anchor: what the signature is checked against.
        identity: pattern of who must have signed; empty for anybody whom the anchor vouches for.
        issuer: who must have vouched for that identity; for Sigstore alone.
        required: whether such a model is rejected without a signature.
        unsigned: patterns of files that the signature need not cover.
        file: the signature's path in the model, where it has no usual name.
    """

    source: str
    anchor: Anchor
    identity: str = ""
    issuer: str = ""
    required: bool = True
    unsigned: tuple[str, ...] = ()
    file: str = ""

    def covers(self, ref: ModelRef) -> bool:
        """Return whether the rule is about models from there."""
        pattern = self.source.casefold()
        return any(matches(name.casefold(), pattern) for name in _names(ref))

    def accepts(self, check: SignerCheck) -> bool:
        """Return whether a check proves a signature by whom the rule names."""
        return (
            check.valid
            and check.anchor == self.anchor.id
            and (not self.identity or matches(check.identity, self.identity))
            and (not self.issuer or check.issuer == self.issuer)
        )

    @property
    def signer(self) -> str:
        """Whom the rule names, in words."""
        if self.anchor.kind == "sigstore":
            return f"{self.identity} of {self.issuer}"
        what = "the key" if self.anchor.kind == "key" else "the authority"
        who = f"{self.identity}, by " if self.identity else ""
        return f"{who}{what} {self.anchor.id.rpartition(':')[2][:12]}"


def _names(ref: ModelRef) -> set[str]:
    """Return the names that a pattern may have for a model: by each scheme of its kind, and of where it was first."""
    record = KINDS.get(ref.kind)
    schemes = {ref.kind, *(record.schemes if record else ())} | ({"hf"} if ref.kind == "git-xet" else set())
    names = {ModelRef(ref.kind, ref.id).uri, *(f"{scheme}:{ref.id}" for scheme in schemes)}
    names |= {f"s3://{ref.id}"} if ref.kind == "s3" else set()
    upstream = {uri.partition("?")[0].rpartition("@")[0] or uri for uri in ref.option("upstream")}
    return names | upstream | set(ref.option("upstream"))


@dataclass(frozen=True, order=True)
class SignerCheck:
    """One check of a signature against one anchor.

    Attributes:
        anchor: its `id`.
        valid: whether the signature is one of that anchor.
        identity: who signed, as the certificate says; empty for a plain key.
        issuer: who vouched for the identity, for Sigstore.
        problem: why it is not valid.
        by: the libraries that checked it; empty where they did not come to an end.
    """

    anchor: str
    valid: bool
    identity: str = ""
    issuer: str = ""
    problem: str = ""
    by: str = ""


@dataclass(frozen=True)
class PublisherSignature:
    """What is known of one signature that a model has.

    Attributes:
        path: of the signature's file.
        digest: of that file.
        problem: why it is no signature that can be read; all else is then empty.
        form: of its statement: `v1.0`, or `v0.2` of the first tools.
        method: `files`, or `shards` of them.
        algorithm: of the digests that it lists.
        kind: what it names for its check: a key, a certificate, or one of Sigstore.
        intact: whether it is a signature of its own certificate over its own statement; None where it has none.
        claims: who signed, by the certificate that it brings; nothing vouches for that.
        covered: the number of files that it lists with their true digest.
        mismatched: files that have other bytes than those signed.
        missing: files that it lists and the model lacks.
        uncovered: files of the model that it does not list.
        ignored: of those, the ones that it says it ignores.
        checks: one for each anchor that it was checked against.
    """

    path: str
    digest: str
    problem: str = ""
    form: str = ""
    method: str = ""
    algorithm: str = ""
    kind: AnchorKind | Literal[""] = ""
    intact: bool | None = None
    claims: str = ""
    covered: int = 0
    mismatched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    checks: tuple[SignerCheck, ...] = ()

    def check(self, anchor: str) -> SignerCheck | None:
        """Return the check against an anchor, by its id."""
        return next((one for one in self.checks if one.anchor == anchor), None)

    @property
    def signers(self) -> tuple[str, ...]:
        """Who is proven to have signed, in words."""
        return tuple(_words(one) for one in self.checks if one.valid)

    @property
    def told(self) -> str:
        """What is known of it, in one sentence."""
        if self.problem:
            return f"{self.path} is no signature that can be read: {self.problem}."
        by = ", ".join(self.signers) or f"nobody who is known here{f' ({self.claims})' if self.claims else ''}"
        gaps = (("altered", self.mismatched), ("missing", self.missing), ("not signed", self.uncovered))
        found = "".join(f"; {word}: {listed(paths)}" for word, paths in gaps if paths)
        return f"{self.path} is signed by {by}, over {self.covered} files{found}."

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        value = {name: list(part) if isinstance(part, tuple) else part for name, part in asdict(self).items()}
        return {"version": VERSION, **value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PublisherSignature:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
        del fields["version"]
        fields["checks"] = tuple(SignerCheck(**check) for check in value["checks"])
        return cls(**fields)


def _words(check: SignerCheck) -> str:
    kind, _, digest = check.anchor.partition(":sha256:")
    if check.identity:
        return f"{check.identity}{f' of {check.issuer}' if check.issuer else ''}"
    return f"the {kind} {digest[:12]}"


def listed(paths: tuple[str, ...]) -> str:
    """Return the first of some paths, and how many there are besides."""
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return f"{', '.join(paths[:5])}{more}"
