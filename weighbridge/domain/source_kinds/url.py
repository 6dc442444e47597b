"""The source kind `url`: `https://host/path/model.gguf#extract=true`, with the whole address as its id.

Not here: which parts of a query are credentials (domain.signed_urls), and how an address is asked (sources.url).
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from weighbridge.domain.signed_urls import split_secret
from weighbridge.domain.source_kinds.grammar import Parts, last_name, read_options, without_secret
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.errors import InvalidReference


def _read(kind: str, scheme: str, rest: str) -> Parts:
    address, _, fragment = f"{scheme}:{rest}".partition("#")
    address, secret = split_secret(address)
    if not re.match(r"^https?://[^/\s]+/", address):
        raise InvalidReference(
            f"“{address}” is not the URL of a file.", "Write https://host/path/model.gguf.", uri=address
        )
    return Parts(kind, without_secret(address), "", read_options(fragment), secret)


def _write(scheme: str, parts: Parts) -> str:
    return parts.id + (f"#{urlencode(parts.options)}" if parts.options else "")


URL = SourceKind(
    name="url",
    schemes=("https", "http"),
    adapter="weighbridge.sources.url:UrlSource",
    options="weighbridge.config.source_options:URLOptions",
    read=_read,
    write=_write,
    follows=r"\/\/[^\/\s@]+\/.*",
    model_name=last_name,
    places=frozenset(),
    page=lambda parts: parts.id,
)
