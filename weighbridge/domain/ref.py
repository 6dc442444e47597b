"""A model reference: where a model comes from, and the one URI that names it everywhere.

Not here: how URIs are written (domain.uris), what the source holds now (domain.manifest), or how it is asked (sources).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from weighbridge.domain import uris
from weighbridge.domain.signed_urls import with_secret

_ENDINGS = re.compile(r"\.(tar\.(gz|xz|zst|bz2)|tar|tgz|tbz2|txz|tzst|zip|git|gguf|safetensors|onnx|bin|pt)$")

#: Options that say where a model is, and not which of its files are meant.
_PLACES = frozenset({"endpoint", "index", "registry", "subdir", "tracking_uri"})


@dataclass(frozen=True, order=True)
class ModelRef:
    """Where a model comes from.

    Attributes:
        kind: the source kind: a value of `uris.SCHEMES`, or the name of an installed source.
        id: the model's name in that source: `org/name`, a package, a whole URL, a path, `bucket/prefix`.
        revision: branch, tag, commit or version; empty for the source's default.
        options: further choices of the source as sorted pairs, such as `("files", "*.safetensors")`.
        secret: the credentials of a signed URL; no part of its URI, of equality, or of anything that is kept.
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
    def uri(self) -> str:
        """The URI that `parse` reads back to this reference.

        Revisions of `url`, `file` and `s3` are left out: none of these can be asked for what it held earlier.
        """
        return uris.write(self.kind, self.id, self.revision, self.options)

    @property
    def origin(self) -> tuple[str, ...]:
        """Where the model's bytes come from, whatever revision: equal origins, the same publisher's same model."""
        places = (f"{name}={value}" for name, value in self.options if name in _PLACES)
        return (self.kind, self.id.rstrip("/") or self.id, *places)

    @property
    def name(self) -> str:
        """The name a model gets when its user gave none: `org/name`, the package, or the last part of the path."""
        if self.kind in ("url", "file", "s3", "git-lfs"):
            whole = "/".join((self.id.split("?")[0].rstrip("/"), *self.option("subdir")))
            last = whole.rstrip("/").rsplit("/", 1)[-1]
            return _ENDINGS.sub("", unquote(last) if self.kind != "s3" else last) or "model"
        if self.kind == "ollama":
            return self.id + (f"-{self.revision}" if self.revision and not self.revision.startswith("sha256:") else "")
        return self.id

    @property
    def address(self) -> str:
        """The URL that is asked for, with the credentials of a signed one: for the request itself only."""
        return with_secret(self.id, self.secret)

    def option(self, key: str) -> tuple[str, ...]:
        """Every value given for an option, in order."""
        return tuple(value for name, value in self.options if name == key)

    def pinned(self, revision: str) -> ModelRef:
        """The same reference at an immutable revision."""
        return replace(self, revision=revision)
