"""The source `mlflow`: a version of a registered model, `mlflow:name/3`, `mlflow:name/Staging`, `mlflow:name@champion`.

The source uses MLflow's REST API and not its client, whose credentials are environment variables of the whole process
and whose import takes seconds. Option: `tracking_uri`, the server; else the settings' endpoint. The files are those
below the version's artifacts that the server itself serves (`--serve-artifacts`); `registered_model_meta` is not one of
them, MLflow's client generates it. Not here: the meaning of the server's responses (mlflow.server), and the location of
a version's files (mlflow_locations).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.errors import InvalidReference, ModelNotFound, SourceError, SourceUnavailable
from weighbridge.net.mlflow.server import TrackingServer
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import Transfer
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options
from weighbridge.sources.mlflow_locations import artifact_folders

OPTIONS = frozenset({"tracking_uri"})
LATEST = "latest"
MAX_FOLDERS = 10_000
MAX_DEPTH = 64
#: The most files whose ETags are requested, largest first: each costs a server with passwords 0.1 s.
MAX_IDENTIFIED = 128
_NUMBER = re.compile(r"[0-9]{1,9}")


class MLflowSource:
    """Versions of registered models; see the module."""

    kind: ClassVar[str] = "mlflow"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._transfer = Transfer.of(settings)

    def resolve(self, ref: ModelRef) -> Manifest:
        """List a version's files; the reference is pinned to the version's number.

        1. A stage, an alias or nothing becomes a number: the stage's newest version, the alias's, the newest of all.
        2. The server names the location of that version's files, and lists them folder by folder.
        3. Where it gives files strong ETags, they identify the bytes; nothing else in MLflow does, since every user
           who may write a run may replace its files.

        Raises:
            ModelNotFound: no such model, version, stage or alias, or a version without files.
            InvalidReference: an unknown option, no server, or a revision that MLflow calls invalid.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `TrackingServer.ask` and `TrackingServer.listing`.
            SourceError: the server does not serve the files itself.
            UnsafePath: a name that is not safe.
        """
        server = self._server(ref)
        refuse_unknown_options(ref, OPTIONS)
        number = _number(ref, server)
        entries: dict[str, FileEntry] = {}
        for root in artifact_folders(ref, number, server):
            listed = Manifest(ref, tuple(self._entries(server, root, Selection.of(ref))))  # no name twice in a folder
            entries |= listed.by_path
        if not entries:
            raise ModelNotFound(
                f"Version {number} of “{ref.id}” holds no files.",
                "A version's source has to be the folder of its files; see it in MLflow.",
                uri=ref.uri,
            )
        declared = refuse_oversize(Manifest(ref.pinned(number), tuple(entries.values())), self._settings)
        files = _identified(server, declared.files, self._settings.connections)
        return refuse_oversize(replace(declared, files=files), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file; from `offset` only where a strong ETag or a declared digest would reveal another file's rest.

        Raises:
            SourceMisbehaved: the file changed since it was resolved; otherwise as `resolve`.
        """
        server = self._server(ref)
        path = entry.locator or self._path(ref, server, entry)
        etag = entry.version.removeprefix(f"{server.address(path)} ")
        resumable = bool(etag or entry.digest)
        with server.stream(path, offset=offset if resumable else 0, etag=etag, size=entry.size) as stream:
            yield stream

    def service(self, ref: ModelRef | None = None) -> str:
        """Return the tracking URI; see `interface.Service`."""
        return shown(self._server(ref).url) if ref or self._settings.endpoint else ""

    def greet(self, ref: ModelRef | None = None) -> str:
        """Ask for one registered model; see `interface.Service`."""
        server = self._server(ref)
        server.ask("registered-models/search", max_results="1")
        return "with credentials" if server.auth.header(server.url) else ""

    def _path(self, ref: ModelRef, server: TrackingServer, entry: FileEntry) -> str:
        """Return the path of a file on the server; entries of a lock file have no locator, so the server is asked."""
        first, *others = artifact_folders(ref, _number(ref, server), server)
        for folder in others:
            if any(one.path == entry.path for one in self._entries(server, folder, Selection.of(ref))):
                return posixpath.join(folder, entry.path)
        return posixpath.join(first, entry.path)

    def _server(self, ref: ModelRef | None) -> TrackingServer:
        if ref is None:
            return TrackingServer.at(self._settings.endpoint, self._transfer, self._settings.auth)
        try:
            (ref.id + ref.revision).encode()
        except UnicodeEncodeError as error:
            raise InvalidReference("The model's name is not valid Unicode.", "Check how it was written.") from error
        named = set(ref.option("tracking_uri")) or {self._settings.endpoint} - {""}
        if len(named) != 1:
            raise InvalidReference(
                f"The model “{ref.id}” has {'several MLflow servers' if named else 'no MLflow server'}.",
                "Name one: mlflow:name/3?tracking_uri=https://host, or MLFLOW_TRACKING_URI.",
            )
        return TrackingServer.at(named.pop(), self._transfer, self._settings.auth)

    def _entries(self, server: TrackingServer, root: str, selection: Selection) -> list[FileEntry]:
        """Return the selected files below a folder, with their path on the server as locator."""
        entries: list[FileEntry] = []
        pending, folders = [""], 1
        while pending:
            folder = pending.pop()
            for item in server.listing(posixpath.join(root, folder).rstrip("/")):
                path = posixpath.join(folder, item.name)
                if selection.excludes(f"{path}/") if item.is_dir else not selection.takes(path):
                    continue
                safe_path(path)
                if item.is_dir:
                    pending.append(path)
                    folders += 1
                else:
                    entries.append(FileEntry(path, item.size, locator=posixpath.join(root, path)))
                _refuse_endless(server, path, folders, len(entries), self._settings.max_files)
        return entries


def _refuse_endless(server: TrackingServer, path: str, folders: int, files: int, max_files: int) -> None:
    for what, actual, limit in (
        ("files", files, max_files),
        ("folders", folders, MAX_FOLDERS),
        ("levels of folders", path.count("/") + 1, MAX_DEPTH),
    ):
        if actual > limit:
            raise SourceError(
                f"The version has more than {limit:,} {what} on {server.url}.",
                "No model has so many: check its source in MLflow.",
                limit=limit,
            )


def _number(ref: ModelRef, server: TrackingServer) -> str:
    """Return the number of the version that a reference names.

    Raises:
        ModelNotFound, InvalidReference: there is none; the remedy names those that exist.
    """
    revision = ref.revision
    version: dict[str, Any] | None
    try:
        if revision.startswith("@"):
            answer = server.ask("registered-models/alias", name=ref.id, alias=revision[1:])
            version = _version(server, answer.get("model_version"))
        elif _NUMBER.fullmatch(revision):
            answer = server.ask("model-versions/get", name=ref.id, version=str(int(revision)))
            version = _version(server, answer.get("model_version"), str(int(revision)))
        else:
            stages = {} if revision.lower() in ("", LATEST) else {"stages": revision}
            version = _newest(server, server.ask("registered-models/get-latest-versions", name=ref.id, **stages))
    except (ModelNotFound, InvalidReference) as error:
        raise _missing(ref, server, error) from error
    if version is None:
        raise _missing(ref, server, None)
    _refuse_unready(ref, version)
    return str(version["version"])


def _version(server: TrackingServer, value: Any, number: str = "") -> dict[str, Any]:
    """Return a checked model version in MLflow's JSON form."""
    given = str(value.get("version", "")) if isinstance(value, dict) else ""
    if not _NUMBER.fullmatch(given) or (number and given != number):
        raise server.strange("a model version")
    checked: dict[str, Any] = value
    return checked | {"version": given}


def _newest(server: TrackingServer, answer: dict[str, Any]) -> dict[str, Any] | None:
    versions = answer.get("model_versions", [])
    if not isinstance(versions, list):
        raise server.strange("a list of model versions")
    checked = [_version(server, value) for value in versions]
    return max(checked, key=lambda version: int(version["version"]), default=None)


def _refuse_unready(ref: ModelRef, version: dict[str, Any]) -> None:
    status = version.get("status", "READY")
    facts = {"uri": ref.uri, "version": version["version"]}
    if status == "PENDING_REGISTRATION":
        raise SourceUnavailable(
            f"Version {version['version']} of “{ref.id}” is still being registered.", "Try again later.", **facts
        )
    if status != "READY":
        raise ModelNotFound(
            f"Version {version['version']} of “{ref.id}” was not registered completely.",
            "Register it again, or name another version.",
            **facts,
        )


def _missing(ref: ModelRef, server: TrackingServer, error: SourceError | InvalidReference | None) -> Exception:
    """Return the error for a missing version, stage or alias, or for a missing model."""
    try:
        model = server.ask("registered-models/get", name=ref.id).get("registered_model")
    except (ModelNotFound, InvalidReference):
        return ModelNotFound(
            f"MLflow at {server.url} has no registered model “{ref.id}”.",
            "Check the name: upper and lower case count.",
            uri=ref.uri,
        )
    model = model if isinstance(model, dict) else {}
    newest = _newest(server, {"model_versions": model.get("latest_versions", [])})
    if newest is None:
        return ModelNotFound(f"“{ref.id}” has no version yet.", "Register one in MLflow.", uri=ref.uri)
    names = _aliases(model)
    remedy = f"Its newest version is {newest['version']}"
    remedy += f", its aliases are {', '.join(names[:8])}." if names else "."
    revision = ref.revision
    if revision.startswith("@"):
        return ModelNotFound(f"“{ref.id}” has no alias “{revision[1:]}”.", remedy, uri=ref.uri)
    if isinstance(error, InvalidReference):
        return InvalidReference(
            f"“{revision}” is not a stage. {error.problem}", f"{remedy} {error.remedy}", uri=ref.uri
        )
    what = f"version {revision}" if _NUMBER.fullmatch(revision) else f"version in the stage “{revision}”"
    return ModelNotFound(f"“{ref.id}” has no {what}.", remedy, uri=ref.uri)


def _aliases(model: dict[str, Any]) -> list[str]:
    listed = model.get("aliases")
    given = [item.get("alias") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return sorted(name for name in given if isinstance(name, str) and name.isprintable() and len(name) < 100)


def _identified(server: TrackingServer, entries: tuple[FileEntry, ...], connections: int) -> tuple[FileEntry, ...]:
    """Return the files with the ETags of the largest ones as versions, where the server sends any.

    A server that keeps files in its own folder does. A server in front of an object store does not, and fetches a whole
    file for each request, so it is asked once, for the smallest file. HEAD is useless: its ETag differs from GET's.
    """
    ordered = sorted(entries, key=lambda entry: (entry.size or 0, entry.path))
    smallest = next((entry for entry in ordered if entry.size), ordered[0])
    if not _asked(server, smallest).version:
        return entries
    largest = {entry.path for entry in ordered[-MAX_IDENTIFIED:]}
    pool = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="mlflow")
    try:
        return tuple(pool.map(lambda entry: _asked(server, entry) if entry.path in largest else entry, entries))
    finally:
        pool.shutdown(cancel_futures=True)


def _asked(server: TrackingServer, entry: FileEntry) -> FileEntry:
    """Return a file with its ETag, from a request for its last byte."""
    path = entry.locator
    with server.stream(path, offset=max(0, (entry.size or 0) - 1), size=entry.size) as stream:
        for _ in islice(stream.chunks, 2):  # the end is read too, so that the connection can be used again
            pass
        version = f"{server.address(path)} {stream.etag}" if stream.etag else ""
        return replace(entry, size=stream.size if entry.size is None else entry.size, version=version)
