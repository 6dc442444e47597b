"""The source kind `s3`: `s3://bucket/prefix`.

Not here: how a bucket is asked (sources.s3).
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import quote, unquote

from weighbridge.domain.source_kinds.grammar import Parts, last_name, read_options, write_options
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.errors import InvalidReference


def _read(kind: str, scheme: str, rest: str) -> Parts:
    path, _, query = rest.partition("?")
    bucket, _, prefix = unquote(path).removeprefix("//").partition("/")
    if not path.startswith("//") or not re.fullmatch(r"[a-zA-Z0-9._-]{3,255}", bucket):
        uri = f"{scheme}:{rest}"
        raise InvalidReference(f"“{uri}” names no bucket.", "Write s3://bucket/prefix.", uri=uri)
    return Parts(kind, f"{bucket}/{prefix}".rstrip("/"), "", read_options(query))


def _write(scheme: str, parts: Parts) -> str:
    return f"{scheme}://{quote(parts.id, safe='/')}{write_options(parts.options)}"


S3 = SourceKind(
    name="s3",
    schemes=("s3",),
    adapter="weighbridge.sources.s3:S3Source",
    options="weighbridge.config.source_options:S3Options",
    read=_read,
    write=_write,
    follows=r"\/\/[A-Za-z0-9._-]{3,255}([\/?].*)?",
    model_name=partial(last_name, quoted=False),
    places=frozenset({"endpoint"}),
    endpoint_setting="s3_endpoint",
    endpoint_variable="AWS_ENDPOINT_URL_S3",
    key_pair=True,
    block="s3-credentials",
)
