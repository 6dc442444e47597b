"""An MLflow tracking server over its REST API: requests, listings and bytes, with a remedy for each refusal.

Not here: the version that a reference names and its files (sources.mlflow), and publishing (registries).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlencode, urlparse, urlsplit, urlunparse

from weighbridge.domain.paths import safe_path
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.net.auth import Auth
from weighbridge.net.responses import one_line
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import FetchedDocument, Transfer

_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
#: Statuses of failures that MLflow explains in JSON.
_EXPLAINED = frozenset({400, 404})
_MAX_ANSWER = 8 * 1024**2  # parsed to Python's values it is thirty times as large
_HOW = "name them with --token-env or --token-file, as user:password, or with auth: in models.yaml"


@dataclass(frozen=True)
class Artifact:
    """One line of a listing: a file or a folder.

    Attributes:
        name: one safe path component.
        is_dir: whether it is a folder.
        size: bytes; None where the server states none, as MLflow does for empty files.
    """

    name: str
    is_dir: bool
    size: int | None


@dataclass(frozen=True)
class TrackingServer:
    """One MLflow server.

    Attributes:
        url: its tracking URI, without a slash at the end.
        transfer: sends the requests.
        auth: credentials; they are sent where `Auth.header` allows it.
    """

    url: str
    transfer: Transfer
    auth: Auth

    @classmethod
    def at(cls, uri: str, transfer: Transfer, auth: Auth) -> TrackingServer:
        """Return the server at a tracking URI.

        Raises:
            InvalidReference: the URI is not one of a server, or holds a user or password, which are not shown.
        """
        try:
            parts = urlsplit(uri)
            plain = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query + parts.fragment
            _ = parts.port  # It raises for what is no port.
        except ValueError:
            parts, plain = urlsplit(""), False
        if "@" in parts.netloc:
            raise InvalidReference(
                "The MLflow tracking URI holds a user name or password.",
                f"Remove them from it, and {_HOW}.",
            )
        if not plain:
            raise InvalidReference(
                "The MLflow tracking URI is not an http or https address of a server.",
                "Write https://host or https://host/prefix. Models of a local store are ingested with file:/path.",
            )
        return cls(uri.rstrip("/"), transfer, auth)

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return the response to a request such as `model-versions/get`.

        Raises:
            ModelNotFound, InvalidReference: MLflow says RESOURCE_DOES_NOT_EXIST, or calls a parameter invalid.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.read`.
        """
        return self._read(f"{self.url}/api/2.0/mlflow/{path}?{urlencode(parameters, quote_via=quote)}")

    def listing(self, folder: str) -> list[Artifact]:
        """Return the entries of a folder of the artifacts that the server serves.

        Raises:
            SourceMisbehaved: it is not a listing, has several pages, or names a file that the server would not find.
            UnsafePath: a name that is not safe, or more than one path component.
        """
        answer = self._read(f"{self.url}{_ARTIFACTS}?{urlencode({'path': folder}, quote_via=quote)}")
        if answer.get("next_page_token"):
            raise SourceMisbehaved(f"{self.url} lists {folder!r} on several pages, which MLflow's API cannot request.")
        lines = answer.get("files", [])
        if not isinstance(lines, list):
            raise self.strange("a listing")
        return [self._artifact(line) for line in lines]

    def address(self, path: str) -> str:
        """Return the address of an artifact's bytes."""
        return f"{self.url}{_ARTIFACTS}/{quote(path)}"

    @contextmanager
    def stream(self, path: str, *, offset: int = 0, etag: str = "", size: int | None = None) -> Iterator[ByteStream]:
        """Open an artifact; see `Transfer.stream`."""
        url = self.address(path)
        with self._refusals(), self._open(url, offset, etag, size) as stream:
            yield stream

    def _open(self, url: str, offset: int, etag: str, size: int | None) -> AbstractContextManager[ByteStream]:
        return self.transfer.stream(url, offset=offset, etag=etag, size=size, authorization=self.auth.header(url))

    def strange(self, what: str) -> SourceMisbehaved:
        """Return the error for a response that is not what MLflow documents."""
        return SourceMisbehaved(
            f"The response of {self.url} is not {what} of MLflow.",
            "Check that the tracking URI is that of an MLflow server, with its prefix.",
            uri=self.url,
        )

    def _artifact(self, line: Any) -> Artifact:
        name = line.get("path") if isinstance(line, dict) else None
        if not isinstance(name, str) or not isinstance(line.get("is_dir", False), bool):
            raise self.strange("a listing")
        if "/" in safe_path(name):
            raise SourceMisbehaved(f"{self.url} lists {name!r}, which is not the name of one file.", path=name)
        if _decoded(name) != name:
            raise SourceMisbehaved(
                f"{self.url} lists a file {name!r}, and would send another one: MLflow decodes names twice.",
                "Give the file a name without %, # and ; and register the model again.",
                path=name,
            )
        size = line.get("file_size")
        if isinstance(size, str) and size.isascii() and size.isdigit() and len(size) < 20:  # JSON of Protocol Buffers
            size = int(size)
        if not isinstance(size, int | None) or isinstance(size, bool):
            raise self.strange("a listing")
        return Artifact(name, line.get("is_dir", False), size)

    def _read(self, url: str) -> dict[str, Any]:
        with self._refusals():
            document = self.transfer.read(
                url,
                accept="application/json",
                authorization=self.auth.header(url),
                max_size=_MAX_ANSWER,
                also=_EXPLAINED,
            )
        answer = self._json(document)
        if document.status != 200:
            self._refuse(answer, document.status)
        return answer

    def _json(self, document: FetchedDocument) -> dict[str, Any]:
        try:
            answer = json.loads(document.content)
        except (ValueError, RecursionError) as error:
            if document.content_type in ("text/html", "application/xhtml+xml") and document.status == 200:
                raise SourceMisbehaved(
                    f"{self.url} answers with a web page, perhaps to log in, not with MLflow's API.",
                    f"Name the tracking server itself, and credentials that it accepts without a browser: {_HOW}.",
                    uri=self.url,
                ) from error
            raise self.strange("one") from error
        if not isinstance(answer, dict):
            raise self.strange("one")
        return answer

    def _refuse(self, answer: dict[str, Any], status: int) -> NoReturn:
        """Raise the error for a failure that MLflow explains."""
        code, said = one_line(str(answer.get("error_code") or "")), one_line(str(answer.get("message") or ""))
        facts = {"uri": self.url, "http_status": status, "error_code": code}
        if code == "RESOURCE_DOES_NOT_EXIST":
            raise ModelNotFound(f"MLflow at {self.url} says: {said}.", "Check the model's name.", **facts)
        if code == "INVALID_PARAMETER_VALUE":
            raise InvalidReference(
                f"MLflow at {self.url} says: {said.rstrip('.')}.",
                "Write mlflow:name/3, mlflow:name/Production or mlflow:name@champion.",
                **facts,
            )
        raise SourceMisbehaved(
            f"{self.url} answers with HTTP {status}{f' and {code}' if code else ''}, not as MLflow's API.",
            "Check the tracking URI with its prefix, and that the server is MLflow 2.3 or newer.",
            **facts,
        )

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Give refusals and failures in the context a remedy for MLflow."""
        try:
            yield
        except AddressRefused:
            raise
        except AccessDenied as error:
            raise self._denied(error) from error
        except SourceUnavailable as error:
            if not (self.auth.header(self.url).startswith("Bearer") and error.facts.get("http_status") == 500):
                raise
            remedy = "A server with MLflow's basic authentication fails like that when it gets a token"
            raise SourceUnavailable(error.problem, f"{remedy}: use user:password.", **error.facts) from error

    def _denied(self, error: AccessDenied) -> SourceError:
        sent = self.auth.header(self.url)
        if error.facts.get("http_status") != 401:
            return AccessDenied(
                f"The MLflow server at {self.url} does not let this user read that.",
                "Ask for the permission READ on the model and on the experiment that holds its files; MLflow answers "
                "like that, too, where there is no such model.",
                **error.facts,
            )
        if not sent:
            return AccessDenied(
                f"The MLflow server at {self.url} requires credentials.",
                f"If you have credentials, {_HOW}.",
                **error.facts,
            )
        what = "token" if sent.startswith("Bearer") else "user and password"
        return AccessDenied(
            f"The MLflow server at {self.url} does not accept the {what}.",
            "Check them; a server with basic authentication takes user:password, one behind a login service a token.",
            **error.facts,
        )


def _decoded(name: str) -> str:
    """Return an artifact's name as MLflow's server reads it, which decodes it a second time."""
    parts = urlparse(unquote(f"folder/{name}"))
    return urlunparse(parts._replace(fragment="")).removeprefix("folder/")
