"""Conversion of the exceptions of huggingface_hub to `weighbridge.errors`, with a remedy for each.

Not here: requests to the Hub (sources), and responses of other servers (net.responses).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import parse_ratelimit_headers

from weighbridge.domain.gated_access import NAMING_ONE, demand_of, way_in
from weighbridge.domain.hub_models import Gated
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.net.responses import one_line, retry_after_s
from weighbridge.net.retrying import BUSY


@contextmanager
def hub_errors(
    ref: ModelRef, endpoint: str, token: str, path: str = "", gated: Gated = Gated.UNKNOWN
) -> Iterator[None]:
    """Convert the exceptions of huggingface_hub to `weighbridge.errors`.

    Args:
        ref: the repository of the request.
        endpoint: the Hub's base URL.
        token: the token in use, or empty; only whether there is one shows in an error.
        path: the file of the request, or empty.
        gated: how the repository is gated, where its description said so.

    Raises:
        AccessDenied: gated, disabled, or a token that is not accepted.
        ModelNotFound: no such repository (private ones look like that to strangers), revision or file.
        SourceUnavailable: busy, rate-limited (`retry_after_s`) or not reachable.
        SourceMisbehaved: the response is not one of a Hub.
        InvalidReference: the id is invalid.
    """
    try:
        yield
    except HFValidationError as error:
        raise InvalidReference(
            f"“{ref.id}” is not a repository id of the Hub.", "Write hf:org/name@revision.", uri=ref.uri
        ) from error
    except HfHubHTTPError as error:
        raise _refusal(error, ref, endpoint, token, path, gated) from error
    except OfflineModeIsEnabled as error:
        raise SourceError(
            "HF_HUB_OFFLINE is set, so no request goes to the Hub.",
            "Unset it, or ingest from a folder with file:/path.",
        ) from error
    except httpx2.HTTPError as error:
        raise _broken_connection(error, endpoint) from error
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise InvalidReference(f"No request can be sent to “{endpoint}”: {error}.", "Check HF_ENDPOINT.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:  # hostile JSON
        raise SourceMisbehaved(
            f"The response of {endpoint} about {ref.id} cannot be read: {type(error).__name__}.",
            "Check that the endpoint is a Hugging Face Hub or a true mirror of one.",
            uri=ref.uri,
        ) from error


def gated_refusal(
    ref: ModelRef, endpoint: str, token: str, gated: Gated, why: str = "", http_status: int | None = None
) -> AccessDenied:
    """Return the error for a repository whose files the Hub does not give to this account.

    Args:
        ref: the repository.
        endpoint: the Hub's base URL.
        token: the token in use, or empty.
        gated: how the repository is gated.
        why: the Hub's own words as a sentence with a space before it, or empty.
        http_status: of its response.
    """
    page = _page(ref, endpoint)
    return AccessDenied(
        f"{ref.id} is gated: {demand_of(gated, ref.id)}.{why}",
        way_in(gated, ref.id, page, has_token=bool(token)),
        page=page,
        gated=str(gated),
        uri=ref.uri,
        http_status=http_status,
    )


def _page(ref: ModelRef, endpoint: str) -> str:
    return f"{endpoint}/{'datasets/' if ref.kind == 'huggingface-dataset' else ''}{ref.id}"


def _refusal(error: HfHubHTTPError, ref: ModelRef, endpoint: str, token: str, path: str, gated: Gated) -> SourceError:
    status = error.response.status_code
    page = _page(ref, endpoint)
    facts: dict[str, Any] = {"uri": ref.uri, "http_status": status}
    why = _said(error)
    if isinstance(error, GatedRepoError):
        return gated_refusal(ref, endpoint, token, gated, why, status)
    if isinstance(error, RevisionNotFoundError):
        return ModelNotFound(
            f"{ref.id} has no branch, tag or commit “{ref.revision}”.{why}",
            f"See which ones it has at {page}.",
            **facts,
        )
    if isinstance(error, EntryNotFoundError):
        return ModelNotFound(
            f"{ref.id} has no file {path} at {ref.revision}.", f"See what it has at {page}.", path=path, **facts
        )
    if isinstance(error, RepositoryNotFoundError):
        private = "check that the account of the token in use may see it" if token else NAMING_ONE
        return ModelNotFound(
            f"{endpoint} shows no {'data set' if '/datasets/' in page else 'model'} {ref.id}.{why}",
            f"Check its name. If it is private, {private}.",
            **facts,
        )
    if isinstance(error, DisabledRepoError) or status in (403, 451):
        return AccessDenied(f"{endpoint} refuses access to {ref.id} (HTTP {status}).{why}", f"See {page}.", **facts)
    return _failure(status, error, endpoint, token, facts)


def _failure(status: int, error: HfHubHTTPError, endpoint: str, token: str, facts: dict[str, Any]) -> SourceError:
    """Return the error for a response that does not concern the repository."""
    if status == 401 and not token:
        return AccessDenied(
            f"{endpoint} requires credentials.{_said(error)}", f"If you have a token, {NAMING_ONE}.", **facts
        )
    if status == 401:
        return AccessDenied(
            f"{endpoint} does not accept the token.{_said(error)}",
            "It is wrong, expired or revoked: create a new one in the account's settings, or name none for a public "
            "model.",
            **facts,
        )
    if status in BUSY:
        wait = retry_after_s(error.response.headers.get("retry-after", ""))
        limit = parse_ratelimit_headers(error.response.headers)
        if wait is None and limit is not None and limit.remaining == 0:
            wait = float(limit.reset_in_seconds)
        known = {} if wait is None else {"retry_after_s": wait}
        what = "wants fewer requests" if status == 429 else "is busy or broken"
        text = f"{endpoint} {what} (HTTP {status}).{_said(error)}"
        return SourceUnavailable(text, "Try again later.", **facts, **known)
    return SourceMisbehaved(
        f"{endpoint} answers with HTTP {status}.{_said(error)}",
        "Check that the endpoint is a Hugging Face Hub.",
        **facts,
    )


#: Texts of the Hub that only repeat our own message.
_EMPTY_WORDS = ("Repository not found", "Entry not found", "Invalid rev id", "Invalid credentials in Authorization")


def _said(error: HfHubHTTPError) -> str:
    """Return a sentence with the server's own words, such as the reason of a proxy in between, or nothing."""
    words = one_line(error.server_message or error.response.headers.get("x-error-message") or "")
    return f" It says: “{words}”." if words and not words.startswith(_EMPTY_WORDS) else ""


def _broken_connection(error: httpx2.HTTPError, endpoint: str) -> WeighbridgeError:
    if isinstance(error, httpx2.TimeoutException):
        return SourceUnavailable(
            f"{endpoint} sent nothing for too long.", "Try again later, or raise the source's timeout."
        )
    if isinstance(error, httpx2.TooManyRedirects):
        return SourceMisbehaved(f"{endpoint} redirects without end.", "Check HF_ENDPOINT.")
    if isinstance(error, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol):
        return InvalidReference(f"The request to {endpoint} cannot be sent.", "Check HF_ENDPOINT and the token.")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return SourceMisbehaved(
            f"The certificate of {endpoint} is not trusted.",
            "If your organisation has a certificate authority of its own, name its file in SSL_CERT_FILE.",
        )
    return SourceUnavailable(
        f"The connection to {endpoint} failed: {error or type(error).__name__}.",
        "Check the network, then run the same command again: it resumes.",
    )
