"""Sessions with MLflow: a late and quiet import, our own credentials, and conversion of its errors to ours.

Not here: the requests (registries.mlflow).
"""

from __future__ import annotations

import base64
import functools
import importlib
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
from weighbridge.net.pace import Pace

#: The server of the current thread's session.
_server: ContextVar[Server | None] = ContextVar("mlflow_server", default=None)
_loading = threading.Lock()
#: Bytes of a response in JSON, which MLflow reads into memory whole.
MAX_JSON = 256 * 1024**2
#: Modules that MLflow's import would otherwise bring in whatever thread it happens.
_SQL = (
    "sqlalchemy.orm",
    "sqlalchemy.ext.compiler",
    "sqlalchemy.ext.mutable",
    "sqlalchemy.dialects.mssql",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "alembic.config",
    "alembic.migration",
    "weighbridge.net.paced_connections",
)
_STATUS = re.compile(r"error code (\d{3}) != 200")
_NETWORK = re.compile(r"^API request to .* failed with (timeout )?exception", re.DOTALL)
_REFUSED_CODES = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
_BUSY_CODES = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")


@dataclass(frozen=True)
class Server:
    """The address of an MLflow registry and the credentials for it; secrets never show in a repr.

    Attributes:
        uri: tracking URI without credentials: `http(s)://…` or `sqlite:////…`.
        username, password: for basic authentication.
        token: for bearer authentication.
        pace: the slowest pace that is accepted of it.
    """

    uri: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(cls, uri: str, username: str = "", password: str = "", token: str = "", pace: Pace | None = None) -> Server:
        """Return the server of a user's settings; credentials in the URL are moved out of it."""
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https") and "@" in parts.netloc:
            username = username or unquote(parts.username or "")
            password = password or unquote(parts.password or "")
            uri = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        uri = uri.rstrip("/") if parts.scheme in ("http", "https") else uri
        return cls(uri, username, password, token, pace or Pace())

    @property
    def authorization(self) -> str:
        """Return the value of the Authorization header, or nothing to let MLflow find credentials by its own rules."""
        if self.token:
            return f"Bearer {self.token}"
        if self.username:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""

    @contextmanager
    def session(self) -> Iterator[None]:
        """Send the context's requests with this server's credentials; convert MLflow's exceptions to RegistryError."""
        mlflow = load_mlflow()
        _refuse_ambient_credentials(self)
        from requests import RequestException
        from sqlalchemy.exc import OperationalError, SQLAlchemyError

        mark = _server.set(self)
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
            _server.reset(mark)

    def threads(self) -> ThreadPoolExecutor:
        """Return threads in which MLflow's clients also use this server, as new threads have no session."""
        return ThreadPoolExecutor(4, thread_name_prefix="mlflow", initializer=_server.set, initargs=(self,))

    def _translate(self, error: Exception, status: int, code: str) -> RegistryError:
        reason = "it cannot be reached" if _is_network(error) else str(error).strip().partition("\n")[0][:500]
        facts = {"uri": self.uri, "status": status, "code": code}
        if code in _REFUSED_CODES or status in (401, 403):
            return RegistryError(
                f"The MLflow server at {self.uri} refused the request (HTTP {status}).",
                "Check the user and the password or token of the MLflow credentials, and what they may do.",
                **facts,
            )
        if code in _BUSY_CODES or status == 429 or status >= 500 or (status == 0 and _is_network(error)):
            return RegistryUnavailable(
                f"The MLflow registry at {self.uri} is not available: {reason}.",
                "Check that it runs, then run the same command again; nothing is lost.",
                **facts,
            )
        return RegistryError(
            f"The MLflow registry at {self.uri} failed: {reason}.",
            "See the log of the MLflow server, or for an embedded registry whether its files are whole.",
            **facts,
        )


def load_sql() -> None:
    """Import the parts of SQLAlchemy that MLflow uses and the catalog does not, before there are threads.

    SQLAlchemy's parts, and Alembic's, register with each other while they are imported: a statement of the catalog that
    another thread compiles at that time would see only some of them.
    """
    for name in _SQL:
        importlib.import_module(name)


def load_mlflow() -> Any:
    """Import MLflow, which takes over a second, without telemetry and without its log lines below warnings."""
    with _loading:  # functools.cache may run it in two threads, and each would add our credentials to every request.
        return _load_once()


@functools.cache
def _load_once() -> Any:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
        # MLflow also logs the errors that it raises, with the whole stack.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # Our own progress is shown.
    # With MLflow's own 7 attempts and doubling pauses, a server that is down takes four minutes to be reported.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    with warnings.catch_warnings():
        # MLflow 3.17 configures its tables with an option that SQLAlchemy 2.1 deprecates.
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.artifacts
        import mlflow.store.artifact.artifact_repository_registry
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.tracking.request_header.abstract_request_header_provider as providers
        import mlflow.tracking.request_header.registry as registry
        import mlflow.utils.credentials
        import mlflow.utils.request_utils

    class Authorization(providers.RequestHeaderProvider):  # type: ignore[misc]
        """Adds the current session's credentials to MLflow's requests."""

        def in_context(self) -> bool:
            return bool(_sent())

        def request_headers(self) -> dict[str, str]:
            return {"Authorization": _sent()}

    registry._request_header_provider_registry.register(Authorization)
    _keep_pace(mlflow.utils.request_utils)
    return mlflow


def _sent() -> str:
    """Return the Authorization header of the current thread's session."""
    server = _server.get()
    return server.authorization if server else ""


def _pace() -> Pace:
    server = _server.get()
    return server.pace if server else Pace()


def _keep_pace(request_utils: Any) -> None:
    """Make the sessions that MLflow opens from now on give up servers that trickle; it has timeouts of sockets only."""
    from weighbridge.net.paced_connections import paced_pools

    pools = paced_pools(_pace, max_json=MAX_JSON)

    class PacedAdapter(request_utils.TCPKeepAliveHTTPAdapter):  # type: ignore[misc]
        """MLflow's adapter with our pools."""

        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
            manager = super().proxy_manager_for(*arguments, **options)
            manager.pool_classes_by_scheme = pools
            return manager

    request_utils.TCPKeepAliveHTTPAdapter = PacedAdapter


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

    MLflow reads the row and then inserts or updates it (`SqlAlchemyStore`, 3.17): of two inserts, one fails with a
    database error. By then the row exists, so the repeated call is an update.

    Raises:
        MlflowException: the call fails for another reason.
    """
    try:
        write(*arguments)
    except load_mlflow().exceptions.MlflowException as error:
        if getattr(error, "error_code", "") != "BAD_REQUEST":
            raise
        write(*arguments)


def is_missing(error: Exception) -> bool:
    """Return whether an MlflowException means that the requested entity does not exist."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def is_taken(error: Exception) -> bool:
    """Return whether an MlflowException means that the entity to create already exists."""
    return getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _refuse_ambient_credentials(server: Server) -> None:
    # MLflow prefers credentials in the environment or in ~/.mlflow to ours, so another user would publish.
    if not server.authorization:
        return
    found = load_mlflow().utils.credentials.read_mlflow_creds()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    same = (found.username or "", found.password or "") == (server.username, server.password)
    if (found.username and not same) or (token and token != server.token):
        raise RegistryError(
            "Two MLflow credentials are set, and they differ.",
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
