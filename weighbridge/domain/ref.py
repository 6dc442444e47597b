"""A model reference: where a model comes from, and the one URI that names it everywhere.

Not here: how URIs are written (domain.uris), what differs by kind (domain.source_kinds), what the source holds now
(domain.manifest), or how it is asked (sources).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from weighbridge.domain import uris
from weighbridge.domain.signed_urls import with_secret
from weighbridge.domain.source_kinds import record_of
from weighbridge.domain.source_kinds.grammar import Parts
from weighbridge.domain.source_kinds.record import SourceKind


@dataclass(frozen=True, order=True)
class ModelRef:
    """Where a model comes from.

    Attributes:
        kind: the source kind: a name of `source_kinds.KINDS`, or of an installed source.
        id: the model's name in that source: `org/name`, a package, a whole URL, a path, `bucket/prefix`.
        revision: branch, tag, commit or version; empty for the source's default.
        options: further choices of the source as sorted pairs, such as `("files", "*.safetensors")`.
        secret: the credentials of a signed URL; not part of its URI, of equality, or of anything that is stored.
    """

    kind: str
    id: str
    revision: str = ""
    options: tuple[tuple[str, str], ...] = ()
    secret: str = field(default="", repr=False, compare=False)

    @classmethod
    def parse(cls, uri: str) -> ModelRef:
        """Read a URI such as `hf:org/name@rev?files=*.safetensors`.

        Raises:
            InvalidReference: no scheme, an unknown one, or nothing after it.
        """
        return cls(*uris.read(uri))

    def __str__(self) -> str:
        return self.uri

    @property
    def record(self) -> SourceKind:
        """The record of its source kind."""
        return record_of(self.kind)

    @property
    def parts(self) -> Parts:
        """The parts of its URI, for the grammar of its kind."""
        return Parts(self.kind, self.id, self.revision, self.options)

    @property
    def uri(self) -> str:
        """The URI that `parse` reads back to this reference.

        Revisions of `url`, `file` and `s3` are left out: such a source cannot return earlier content.
        """
        return uris.write(self.parts)

    @property
    def origin(self) -> tuple[str, ...]:
        """Where the model's bytes come from, without the revision: equal origins mean the same publisher and model."""
        places = (f"{name}={value}" for name, value in self.options if name in self.record.places)
        return (self.kind, self.id.rstrip("/") or self.id, *places)

    @property
    def name(self) -> str:
        """The default name of the model: `org/name`, the package, or the last part of the path."""
        return self.record.model_name(self.parts)

    @property
    def mistake(self) -> str:
        """What is wrong with id or revision, as a message for the user; empty where both may be right.

        It lets models.yaml report a mistake with its line before any request is sent.
        """
        return self.record.mistake(self.parts)

    @property
    def page(self) -> str:
        """The address of the pinned model's page for people; empty where its kind has none."""
        return self.record.page(self.parts)

    @property
    def address(self) -> str:
        """The URL to request, with the credentials of a signed one: for the request itself only."""
        return with_secret(self.id, self.secret)

    def option(self, key: str) -> tuple[str, ...]:
        """Every value given for an option, in order."""
        return tuple(value for name, value in self.options if name == key)

    def pinned(self, revision: str) -> ModelRef:
        """The same reference at an immutable revision."""
        return replace(self, revision=revision)
