"""The source kind `ollama`: `ollama:llama2:7b`, `ollama:host:port/user/model@sha256:…`.

Not here: the parts of such a name (sources.ollama_names), and how a registry is asked (sources.ollama).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from weighbridge.domain.source_kinds.grammar import Parts, read_options, write_options
from weighbridge.domain.source_kinds.record import SourceKind

#: A tag of Ollama's, or the digest of a manifest.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}|sha256:[0-9a-fA-F]{64}")


def _read(kind: str, scheme: str, rest: str) -> Parts:
    rest, _, query = rest.partition("?")
    name, at, revision = unquote(rest).partition("@")
    last = name.rfind("/") + 1
    if not at and ":" in name[last:]:
        folder, (model, _, revision) = name[:last], name[last:].partition(":")
        name = folder + model
    return Parts(kind, name, revision, read_options(query))


def _write(scheme: str, parts: Parts) -> str:
    separator = "@" if ":" in parts.revision else ":"
    revision = separator + quote(parts.revision, safe=":") if parts.revision else ""
    return f"{scheme}:{quote(parts.id, safe='/:')}{revision}{write_options(parts.options)}"


def _mistake(parts: Parts) -> str:
    if not parts.revision or _TAG.fullmatch(parts.revision):
        return ""
    return f"“{parts.revision}” is not a tag: a tag has up to 80 letters, digits and _ - . such as 7b or latest"


def _model_name(parts: Parts) -> str:
    tagged = parts.revision and not parts.revision.startswith("sha256:")
    return f"{parts.id}-{parts.revision}" if tagged else parts.id


OLLAMA = SourceKind(
    name="ollama",
    schemes=("ollama",),
    adapter="weighbridge.sources.ollama:OllamaSource",
    options="weighbridge.config.source_options:OllamaOptions",
    read=_read,
    write=_write,
    mistake=_mistake,
    model_name=_model_name,
    places=frozenset({"registry"}),
    endpoint_setting="ollama_registry",
    block="registry-credentials",
)
