"""The location of the files of an MLflow model version: below the artifacts that its server serves, or elsewhere.

Not here: asking the server (mlflow.server), and listing and reading the files (sources.mlflow).
"""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import urlsplit

import httpx

from weighbridge.domain.ref import ModelRef
from weighbridge.domain.text import shown
from weighbridge.errors import SourceError
from weighbridge.net.mlflow.server import TrackingServer
from weighbridge.net.transfer import same_origin

#: The part after the scheme in an artifact location that the server itself serves.
_PROXIED = re.compile(r"mlflow-artifacts:(?://(?P<host>[^/]*))?/(?P<path>.*)", re.DOTALL)
_PROXY_ROUTE = "/api/2.0/mlflow-artifacts/artifacts/"
#: The most logged models of one run that are read.
MAX_LOGGED = 100
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
#: Schemes in which the part before the @ is a container, not a user.
_CONTAINERS = frozenset({"abfs", "abfss", "wasb", "wasbs"})


def artifact_folders(ref: ModelRef, number: str, server: TrackingServer) -> tuple[str, ...]:
    """Return the folders of a version's files, as paths among the artifacts that the server serves.

    There is one folder, except for a version that names a run's folder: MLflow 3 keeps a model apart from the run that
    logged it, so its files are those of both, and the model's take precedence.

    Raises:
        SourceError: they are elsewhere; the remedy describes how to ingest them.
    """
    answer = server.ask("model-versions/get-download-uri", name=ref.id, version=number)
    folders = []
    for location in _followed(server, _string(server, answer, "artifact_uri")):
        path = _handed_out(server, location)
        if path is None:
            raise _elsewhere(ref, number, server, location)
        parts = [part for part in path.split("/") if part]
        if not parts or {".", ".."} & set(parts):
            raise server.strange("a location")
        folders.append("/".join(parts))
    return tuple(folders)


def _followed(server: TrackingServer, location: str) -> tuple[str, ...]:
    """Return the locations that a `runs:` or `models:` location refers to."""
    scheme, _, rest = location.partition(":/")
    name, _, below = rest.partition("/")
    if scheme == "runs" and name:
        answer = server.ask("runs/get", run_id=name)
        found = [_below(server, _member(server, answer, "run", "info"), below)]
        model, _, inside = below.partition("/")
        logged = _logged_by(server, answer, name, model)
        return (*found, *(_below(server, info, inside) for info in logged))
    if scheme == "models" and re.fullmatch(r"m-[0-9a-zA-Z]+", name):
        return (_below(server, _member(server, server.ask(f"logged-models/{name}"), "model", "info"), below),)
    return (location,)


def _below(server: TrackingServer, info: dict[str, Any], folder: str) -> str:
    return posixpath.join(_string(server, info, "artifact_uri"), folder).rstrip("/")


def _logged_by(server: TrackingServer, answer: dict[str, Any], run: str, name: str) -> list[dict[str, Any]]:
    """Return the newest model of a name that a run logged, or nothing, as before MLflow 3."""
    outputs = _member(server, answer, "run").get("outputs")
    listed = outputs.get("model_outputs") if isinstance(outputs, dict) else None
    found = []
    for output in (listed if isinstance(listed, list) else [])[:MAX_LOGGED]:
        model = output.get("model_id") if isinstance(output, dict) else None
        if not isinstance(model, str) or not re.fullmatch(r"m-[0-9a-zA-Z]+", model):
            raise server.strange("a description")
        info = _member(server, server.ask(f"logged-models/{model}"), "model", "info")
        if info.get("name") == name and info.get("source_run_id") in (run, None):
            found.append(info)
    return sorted(found, key=lambda info: str(info.get("creation_timestamp_ms", "")).zfill(20))[-1:]


def _handed_out(server: TrackingServer, location: str) -> str | None:
    """Return the path of a location among the server's artifacts, or None when it is elsewhere."""
    match = _PROXIED.fullmatch(location)
    try:
        if match:
            scheme = server.url.partition(":")[0]
            same = not match["host"] or same_origin(f"{scheme}://{match['host']}", server.url)
            return match["path"] if same else None
        base, route, path = location.partition(_PROXY_ROUTE)
        here = route and same_origin(base, server.url) and urlsplit(base).path == urlsplit(server.url).path
        return path if here else None
    except (httpx.InvalidURL, ValueError):
        return None


def _elsewhere(ref: ModelRef, number: str, server: TrackingServer, location: str) -> SourceError:
    """Return the error for files that the server does not serve."""
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise server.strange("a location") from error
    host = parts.netloc if parts.scheme in _CONTAINERS else parts.netloc.rpartition("@")[2]
    place = shown(parts._replace(netloc=host, query="", fragment="").geturl(), 300)
    if parts.scheme in ("s3", "s3a", "s3n"):
        remedy = f"Ingest s3://{host}{parts.path} directly, with credentials of that store."
    elif parts.scheme in ("", "file"):
        remedy = f"Ingest file:{parts.path} on the machine that has this folder."
    elif parts.scheme in ("http", "https", "mlflow-artifacts"):
        remedy = "Name the server that serves them with tracking_uri=, or ingest the folder with file:/path."
    else:
        remedy = "Download it with that store's own tools and ingest the folder with file:/path."
    return SourceError(
        f"Version {number} of “{ref.id}” is at {place}, which MLflow at {server.url} does not serve.",
        f"{remedy} A server with --serve-artifacts serves what is logged to it.",
        uri=ref.uri,
        location=place,
    )


def _member(server: TrackingServer, answer: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(answer, dict):
        raise server.strange("a description")
    return answer


def _string(server: TrackingServer, answer: dict[str, Any], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str) or not value or _UNWRITABLE.search(value):
        raise server.strange("a location")
    return value
