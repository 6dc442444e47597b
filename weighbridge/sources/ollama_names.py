"""The names of Ollama models, as its own command takes them: `llama2:7b`, `user/model`, `host:5000/user/model:tag`.

Parts, lengths and characters are those of Ollama (types/model/name.go). Not here: which registry serves a name
without a host (sources.ollama), and how a URI is read (domain.uris).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, InvalidReference

LIBRARY = "library"
LATEST = "latest"
_HOST = re.compile(r"(?=.{1,350}$)[A-Za-z0-9_][A-Za-z0-9_.-]*(?::([0-9]{1,5}))?")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class OllamaName:
    """A model's name.

    Attributes:
        host: the registry's host and port, or empty.
        namespace: the user; `library` where none is named.
        model: the model.
        reference: the tag, or `sha256:<hex>` of a manifest.
    """

    host: str
    namespace: str
    model: str
    reference: str

    @classmethod
    def of(cls, ref: ModelRef) -> OllamaName:
        """Return the name and tag of a reference; where both a tag and a digest are given, the digest counts.

        Raises:
            InvalidReference: Ollama would not accept it.
        """
        name, _, tag = ref.id.rpartition(":") if ":" in ref.id.rpartition("/")[2] else (ref.id, "", "")
        if tag and not ref.revision.startswith("sha256:"):
            raise InvalidReference(f"“{ref.id}” has two tags.", "Keep one: ollama:llama2:7b.", uri=ref.uri)
        parts = name.split("/")
        host = parts[0] if len(parts) == 3 else ""
        namespace, model = (LIBRARY, *parts) if len(parts) == 1 else parts[-2:] if len(parts) <= 3 else ("", "")
        match = _HOST.fullmatch(host)
        host_fits = not host if len(parts) != 3 else bool(match and 0 < int(match[1] or 1) < 65_536)
        if not host_fits or not _NAMESPACE.fullmatch(namespace) or not _PART.fullmatch(model):
            raise InvalidReference(
                f"“{ref.id}” is not a name of an Ollama model.",
                "Write llama2, user/model, or host:port/user/model; letters, digits and _ - . only.",
                uri=ref.uri,
            )
        if tag and not _PART.fullmatch(tag):
            raise _no_tag(ref, tag)
        return cls(host, namespace, model, _reference(ref))

    @property
    def repository(self) -> str:
        """Return the name in the registry: `namespace/model`."""
        return f"{self.namespace}/{self.model}"

    @property
    def digest(self) -> Digest | None:
        """Return the manifest's digest, or None where the name has none."""
        return Digest.parse(self.reference) if ":" in self.reference else None

    def __str__(self) -> str:
        host = f"{self.host}/" if self.host else ""
        namespace = "" if self.namespace == LIBRARY and not host else f"{self.namespace}/"
        return f"{host}{namespace}{self.model}{'@' if ':' in self.reference else ':'}{self.reference}"


def _reference(ref: ModelRef) -> str:
    revision = ref.revision or LATEST
    if not revision.startswith("sha256:"):
        if not _PART.fullmatch(revision):
            raise _no_tag(ref, revision)
        return revision
    try:
        return str(Digest("sha256", revision.removeprefix("sha256:").lower()))
    except InvalidConfiguration as error:
        raise InvalidReference(f"“{revision}” is not a digest.", error.remedy, uri=ref.uri) from error


def _no_tag(ref: ModelRef, tag: str) -> InvalidReference:
    return InvalidReference(
        f"“{tag}” is not a tag.", "A tag has up to 80 letters, digits and _ - . such as 7b or latest.", uri=ref.uri
    )
