"""Where the files of an MLflow model version lie: below the artifacts that its server hands out, or elsewhere.

Not here: asking the server (mlflow.server), and listing and reading the files (sources.mlflow).
"""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import urlsplit

import httpx

from weighbridge.domain.ref import ModelRef
from weighbridge.errors import SourceError
from weighbridge.net.mlflow.server import TrackingServer
from weighbridge.net.transfer import same_origin

#: What follows the scheme of an artifact location that the server itself hands out.
_PROXIED = re.compile(r"mlflow-artifacts:(?://(?P<host>[^/]*))?/(?P<path>.*)", re.DOTALL)
_PROXY_ROUTE = "/api/2.0/mlflow-artifacts/artifacts/"
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
#: Schemes whose part before the @ is a container, not a user.
_CONTAINERS = frozenset({"abfs", "abfss", "wasb", "wasbs"})


def artifact_folder(ref: ModelRef, number: str, server: TrackingServer) -> str:
    """Return the folder of a version's files, as a path among the artifacts that the server hands out.

    Raises:
        SourceError: they lie elsewhere; the remedy says how they are ingested.
    """
    answer = server.ask("model-versions/get-download-uri", name=ref.id, version=number)
    location = _followed(server, _string(server, answer, "artifact_uri"))
    path = _handed_out(server, location)
    if path is None:
        raise _elsewhere(ref, number, server, location)
    parts = [part for part in path.split("/") if part]
    if not parts or {".", ".."} & set(parts):
        raise server.strange("a location")
    return "/".join(parts)


def _followed(server: TrackingServer, location: str) -> str:
    """Return the location that one of a run's or a logged model's artifacts stands for."""
    scheme, _, rest = location.partition(":/")
    name, _, below = rest.partition("/")
    if scheme == "runs" and name:
        info = _member(server, server.ask("runs/get", run_id=name), "run", "info")
    elif scheme == "models" and re.fullmatch(r"m-[0-9a-zA-Z]+", name):
        info = _member(server, server.ask(f"logged-models/{name}"), "model", "info")
    else:
        return location
    return posixpath.join(_string(server, info, "artifact_uri"), below).rstrip("/")


def _handed_out(server: TrackingServer, location: str) -> str | None:
    """Return the path of a location among the server's artifacts, or None when it is none of them."""
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
    """Return the error for files that the server does not hand out."""
    try:
        parts = urlsplit(location)
    except ValueError as error:
        raise server.strange("a location") from error
    host = parts.netloc if parts.scheme in _CONTAINERS else parts.netloc.rpartition("@")[2]
    place = parts._replace(netloc=host, query="", fragment="").geturl()[:300]
    place = "".join(letter if letter.isprintable() else " " for letter in place)
    if parts.scheme in ("s3", "s3a", "s3n"):
        remedy = f"Ingest s3://{host}{parts.path} directly, with credentials of that store."
    elif parts.scheme in ("", "file"):
        remedy = f"Ingest file:{parts.path} on the machine that has this folder."
    elif parts.scheme in ("http", "https", "mlflow-artifacts"):
        remedy = "Name the server that does with tracking_uri=, or ingest the folder with file:/path."
    else:
        remedy = "Download it with that store's own tools and ingest the folder with file:/path."
    return SourceError(
        f"Version {number} of “{ref.id}” lies at {place}, which MLflow at {server.url} does not hand out.",
        f"{remedy} A server with --serve-artifacts hands out what is logged to it.",
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
