"""Model URIs, read and written, each in the grammar of its source kind.

`hf:org/name@rev` · `pypi:package==1.2` · `mlflow:name/3` · `ollama:llama2:7b` · `git+https://host/repo.git@v1#sub` ·
`s3://bucket/prefix` · `https://host/file#extract=true` · `file:/path`. Any other scheme is that of an installed source
(plugins), with the grammar `scheme:id@revision?option=value`. Not here: the grammars (source_kinds), and whether the
model exists (sources).
"""

from __future__ import annotations

import re

from weighbridge.domain.source_kinds import KINDS, kinds_by_scheme, plugins, record_of
from weighbridge.domain.source_kinds.grammar import Parts
from weighbridge.errors import InvalidReference

EXAMPLES = "hf:org/name@revision, s3://bucket/prefix, pypi:package==1.2, https://host/model.gguf, file:/path"
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):(.+)$", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read(uri: str) -> Parts:
    """Read a URI.

    Raises:
        InvalidReference: it has no scheme, an unknown one, nothing after it, or a secret in it.
    """
    match = _SCHEME.match(uri.strip())
    if not match or _CONTROL.search(uri):
        raise InvalidReference(f"“{uri}” is not a model URI.", f"Write one such as {EXAMPLES}.", uri=uri)
    scheme, rest = match.groups()
    kind = kind_of(scheme)
    if not kind:
        known = ", ".join(f"{name}:" for name in (*kinds_by_scheme(), *plugins.installed()))
        raise InvalidReference(f"No source serves “{scheme}:”.", f"Known schemes: {known}.", uri=uri)
    record = record_of(kind)
    parts = record.read(kind, scheme, rest)
    if not record.local and (not parts.id or parts.id.startswith("-") or parts.revision[:1] == "-"):
        raise InvalidReference(f"“{uri}” names no model.", f"Write one such as {EXAMPLES}.", uri=uri)
    return parts


def kind_of(scheme: str) -> str:
    """Return the source kind of a URI scheme; empty where no source serves it.

    Our own kinds win over a package that claims one of their schemes; opening a source refuses such a package.

    Raises:
        InvalidConfiguration: two packages serve it, or it is not a valid scheme.
    """
    own = kinds_by_scheme()
    if scheme in own:
        return own[scheme].name
    return "" if scheme in KINDS else plugins.kind_of(scheme)


def write(parts: Parts) -> str:
    """Return the URI that `read` reads back."""
    record = record_of(parts.kind)
    return record.write(record.schemes[0], parts)
