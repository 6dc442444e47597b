"""Speaking with MLflow: imported late and quietly, with credentials of our own, its errors as ours.

Not here: what is said (registries.mlflow).
"""

from __future__ import annotations

import base64
import functools
import logging
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from weighbridge.errors import RegistryError, RegistryUnavailable

#: The header of the session that the current thread speaks in.
_authorization: ContextVar[str] = ContextVar("mlflow_authorization", default="")
_loading = threading.Lock()
_STATUS = re.compile(r"error code (\d{3}) != 200")
_NETWORK = re.compile(r"^API request to .* failed with (timeout )?exception", re.DOTALL)
_REFUSED_CODES = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
_BUSY_CODES = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")


@dataclass(frozen=True)
class Server:
    """Where an MLflow registry is, and who we are there; secrets never show in a repr.

    Attributes:
        uri: tracking URI without credentials: `http(s)://…` or `sqlite:////…`.
        username, password: for basic authentication.
        token: for bearer authentication.
    """

    uri: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, uri: str, username: str = "", password: str = "", token: str = "") -> Server:
        """Build from what a user wrote; credentials in the URL are taken out of it."""
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https") and "@" in parts.netloc:
            username = username or unquote(parts.username or "")
            password = password or unquote(parts.password or "")
            uri = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return cls(uri.rstrip("/") if parts.scheme in ("http", "https") else uri, username, password, token)

    @property
    def authorization(self) -> str:
        """The value of the Authorization header, or empty to let MLflow find credentials by its own rules."""
        if self.token:
            return f"Bearer {self.token}"
        if self.username:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""

    @contextmanager
    def session(self) -> Iterator[None]:
        """Speak with this server: its credentials are sent, and MLflow's exceptions leave as RegistryError."""
        mlflow = load_mlflow()
        _refuse_ambient_credentials(self)
        from requests import RequestException
        from sqlalchemy.exc import OperationalError, SQLAlchemyError

        mark = _authorization.set(self.authorization)
        try:
            yield
        except mlflow.exceptions.MlflowException as error:
            raise self._translate(error, *_facts(error)) from error
        except RequestException as error:
            raise self._translate(error, getattr(error.response, "status_code", 0), "") from error
        except SQLAlchemyError as error:
            code = _BUSY_CODES[0] if isinstance(error, OperationalError) else ""
            raise self._translate(error, 400, code) from error
        finally:
            _authorization.reset(mark)

    def threads(self) -> ThreadPoolExecutor:
        """Return threads for MLflow's clients that speak with this server, too; they know of no session."""
        sent = self.authorization
        return ThreadPoolExecutor(4, thread_name_prefix="mlflow", initializer=_authorization.set, initargs=(sent,))

    def _translate(self, error: Exception, status: int, code: str) -> RegistryError:
        reason = "it cannot be reached" if _is_network(error) else str(error).strip().partition("\n")[0][:500]
        facts = {"uri": self.uri, "status": status, "code": code}
        if code in _REFUSED_CODES or status in (401, 403):
            return RegistryError(
                f"The MLflow server at {self.uri} refused what was asked of it (HTTP {status}).",
                "Check the user and the password or token of the MLflow credentials, and what they may do.",
                **facts,
            )
        if code in _BUSY_CODES or status == 429 or status >= 500 or (status == 0 and _is_network(error)):
            return RegistryUnavailable(
                f"The MLflow registry at {self.uri} is not available: {reason}.",
                "Check that it runs, then run the same command again; nothing was lost.",
                **facts,
            )
        return RegistryError(
            f"The MLflow registry at {self.uri} failed: {reason}.",
            "See the log of the MLflow server, or for an embedded registry whether its files are whole.",
            **facts,
        )


def load_sql() -> None:
    """Import the parts of SQLAlchemy that MLflow uses and the catalog does not, before there are threads.

    SQLAlchemy's parts find each other while they are imported: a statement of the catalog's that another thread
    compiles in that moment meets a half of them.
    """
    import sqlalchemy.orm  # noqa: F401 (for what it does to sqlalchemy)


def load_mlflow() -> Any:
    """Import MLflow, which takes over a second, without telemetry and without its log lines below warnings."""
    with _loading:  # functools.cache lets two threads in: each would add our credentials to every request once more.
        return _load_once()


@functools.cache
def _load_once() -> Any:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
        # It logs what it also raises, with the whole stack.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # Whoever waits has ours.
    # MLflow's own 7 attempts with doubling pauses are four minutes before anybody learns that nobody listens.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    with warnings.catch_warnings():
        # MLflow 3.17 configures its tables with an option that SQLAlchemy 2.1 calls deprecated.
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.artifacts
        import mlflow.store.artifact.artifact_repository_registry
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.tracking.request_header.abstract_request_header_provider as providers
        import mlflow.tracking.request_header.registry as registry
        import mlflow.utils.credentials

    class Authorization(providers.RequestHeaderProvider):  # type: ignore[misc]
        """Adds the current session's credentials to MLflow's requests."""

        def in_context(self) -> bool:
            return bool(_authorization.get())

        def request_headers(self) -> dict[str, str]:
            return {"Authorization": _authorization.get()}

    registry._request_header_provider_registry.register(Authorization)
    return mlflow


@contextmanager
def suppressing(expected: Callable[[Exception], bool]) -> Iterator[None]:
    """Suppress the MlflowExceptions that are expected."""
    try:
        yield
    except load_mlflow().exceptions.MlflowException as error:
        if not expected(error):
            raise


def upsert(write: Callable[..., None], *arguments: str) -> None:
    """Write a tag or an alias that another process may write for the first time at this moment.

    MLflow reads the row and then inserts or updates it (`SqlAlchemyStore`, 3.17): of two that insert, one is told of a
    database error. By then the row is there, so the same call again is an update.

    Raises:
        MlflowException: it failed for another reason.
    """
    try:
        write(*arguments)
    except load_mlflow().exceptions.MlflowException as error:
        if getattr(error, "error_code", "") != "BAD_REQUEST":
            raise
        write(*arguments)


def is_missing(error: Exception) -> bool:
    """Whether an MlflowException says that what was asked for does not exist."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def is_taken(error: Exception) -> bool:
    """Whether an MlflowException says that what should be created exists already."""
    return getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _refuse_ambient_credentials(server: Server) -> None:
    # MLflow puts credentials that it finds in the environment or in ~/.mlflow over ours: another user would publish.
    if not server.authorization:
        return
    found = load_mlflow().utils.credentials.read_mlflow_creds()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    same = (found.username or "", found.password or "") == (server.username, server.password)
    if (found.username and not same) or (token and token != server.token):
        raise RegistryError(
            "MLflow credentials were given twice, and they differ.",
            "Unset MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN and see "
            "~/.mlflow/credentials, or leave the credentials out of Weighbridge's configuration.",
        )


def _facts(error: Any) -> tuple[int, str]:
    code = str(getattr(error, "error_code", ""))
    match = _STATUS.search(str(error))
    if match:
        return int(match.group(1)), ""
    if code in ("INTERNAL_ERROR", "BAD_REQUEST"):
        return 0, ""
    return 400, code


def _is_network(error: Exception) -> bool:
    return bool(_NETWORK.match(str(error))) or type(error).__name__ in ("ConnectionError", "Timeout", "ReadTimeout")
