"""The source kind `file`: `file:/path` of this machine.

Not here: what a path may lead to (sources.file).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from weighbridge.domain.source_kinds.grammar import Parts, last_name, read_options, write_options
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.errors import InvalidReference


def _read(kind: str, scheme: str, rest: str) -> Parts:
    place, _, query = rest.partition("?")
    path = unquote(re.sub(r"^//(?:localhost(?=/))?", "", place))  # RFC 8089
    if not path:
        uri = f"{scheme}:{rest}"
        raise InvalidReference(f"“{uri}” names no path.", "Write file:/path/to/model.", uri=uri)
    return Parts(kind, path, "", read_options(query))


def _write(scheme: str, parts: Parts) -> str:
    return f"{scheme}:{quote(parts.id, safe='/:+,=~')}{write_options(parts.options)}"


FILE = SourceKind(
    name="file",
    schemes=("file",),
    adapter="weighbridge.sources.file:FileSource",
    options="weighbridge.config.source_options:FileOptions",
    read=_read,
    write=_write,
    follows=r"(?!\/\/$)[^?].*",
    model_name=last_name,
    places=frozenset(),
    local=True,
    block="",
)
