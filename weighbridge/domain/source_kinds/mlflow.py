"""The source kind `mlflow`: `mlflow:name/3`, `mlflow:name/Production`, `mlflow:name@champion`.

Not here: how a server is asked (sources.mlflow).
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from weighbridge.domain.source_kinds.grammar import Parts, read_options, write_options
from weighbridge.domain.source_kinds.record import SourceKind


def _read(kind: str, scheme: str, rest: str) -> Parts:
    rest, _, query = rest.partition("?")
    name, slash, revision = rest.partition("/")
    if not slash:
        name, at, alias = rest.partition("@")
        revision = at + alias
    return Parts(kind, unquote(name), unquote(revision), read_options(query))


def _write(scheme: str, parts: Parts) -> str:
    separator = "" if not parts.revision or parts.revision.startswith("@") else "/"
    revision = quote(parts.revision, safe="@")
    return f"{scheme}:{quote(parts.id, safe='')}{separator}{revision}{write_options(parts.options)}"


MLFLOW = SourceKind(
    name="mlflow",
    schemes=("mlflow",),
    adapter="weighbridge.sources.mlflow:MLflowSource",
    options="weighbridge.config.source_options:MLflowOptions",
    read=_read,
    write=_write,
    places=frozenset({"tracking_uri"}),
    endpoint_setting="mlflow_source",
    endpoint_variable="MLFLOW_TRACKING_URI",
    auth_variable="MLFLOW_TRACKING_TOKEN",
    login_variables=("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    block="mlflow-credentials",
)
