"""Conversion of errors of S3 and AWS's client to `weighbridge.errors`. Not here: sending (s3.connections)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.net.paced_connections import TooSlow
from weighbridge.net.responses import one_line, retry_after_s
from weighbridge.net.retrying import BUSY

#: The places of keys, for remedies.
_KEY_PLACES = (
    "Name the keys with --token-env AWS_ACCESS_KEY_ID (AWS_SECRET_ACCESS_KEY beside it), --token-file holding "
    "KEY_ID:SECRET, or auth: in models.yaml; or give AWS's own chain a profile (AWS_PROFILE, ~/.aws/credentials)."
)
_WRONG_KEYS = {
    "InvalidAccessKeyId": "has no such access key id",
    "SignatureDoesNotMatch": "says that the secret access key is not the one of this access key id",
    "ExpiredToken": "says that the session token has expired",
    "ExpiredTokenException": "says that the session token has expired",
    "InvalidToken": "says that the session token is not valid",
    "TokenRefreshRequired": "says that the session token has to be refreshed",
    "InvalidSecurity": "says that the keys are not valid",
    "RequestTimeTooSkewed": "says that this machine's clock is wrong",
}
_BUSY = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestTimeTooSlow"})
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307", "400"})
_NO_KEYS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.NoAuthTokenError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
    boto.UnknownCredentialError,
    boto.MetadataRetrievalError,
    boto.SSOError,
    boto.LoginError,
    boto.MissingDependencyException,
)
_WRONG_ADDRESS = (
    boto.ParamValidationError,
    boto.ValidationError,
    boto.InvalidDNSNameError,
    boto.InvalidProxiesConfigError,
    boto.UnsupportedS3ConfigurationError,
    boto.EndpointProviderError,
    boto.BaseEndpointResolverError,
)


@contextmanager
def foreign_errors(what: str, host: str) -> Iterator[None]:
    """Convert the exceptions of botocore and urllib3 to `weighbridge.errors`.

    Args:
        what: the object of the request, safe to show: `s3://bucket/key`.
        host: the service's host.
    """
    try:
        yield
    except WeighbridgeError:
        raise
    except boto.ClientError as error:
        raise refused(error, what, host) from error
    except (boto.BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(ours := error.__context__, WeighbridgeError):  # our policy raised it below botocore
            raise ours from None
        raise _not_answered(error, what, host) from error
    except (ResponseParserError, ValueError, LookupError, TypeError, AttributeError) as error:
        # botocore does not check the numbers and dates of a response.
        raise SourceMisbehaved(
            f"The response of {host} about {what} cannot be read.", "Is the endpoint that of an S3 service?", host=host
        ) from error


def _not_answered(error: Exception, what: str, host: str) -> SourceError | InvalidReference:
    name = type(error).__name__
    if isinstance(error, _NO_KEYS):
        return AccessDenied(f"AWS's credential chain has no keys for {what} ({name}).", _KEY_PLACES, host=host)
    if isinstance(error, _WRONG_ADDRESS):
        return InvalidReference(
            f"{what} cannot be requested from {host or 'that endpoint'} ({name}).",
            "Check the bucket's name, the region and the endpoint: s3://bucket/prefix?endpoint=https://host.",
        )
    if isinstance(error, boto.SSLError | urllib3.exceptions.SSLError):
        return SourceMisbehaved(
            f"The certificate of {host} is not trusted, or it speaks no TLS.",
            "If your organisation has a certificate authority of its own, name its file in AWS_CA_BUNDLE.",
            host=host,
        )
    if isinstance(error, boto.ConnectTimeoutError | boto.ReadTimeoutError | urllib3.exceptions.TimeoutError):
        if _is_slow(error):
            return SourceUnavailable(f"{host} answers too slowly about {what}.", "Try it later.", host=host, slow=True)
        return SourceUnavailable(
            f"{host} sent nothing for too long.", "Try again later, or raise the source's timeout.", host=host
        )
    if isinstance(error, boto.PaginationError):
        return SourceMisbehaved(f"{host} lists {what} without an end.", "Ask its operator.", host=host)
    through = " through the proxy" if isinstance(error, boto.ProxyConnectionError) else ""
    return SourceUnavailable(
        f"The connection to {host}{through} failed ({name}).",
        "Check the network, the endpoint and the proxy settings, then run the same command again: it resumes.",
        host=host,
    )


def _is_slow(error: BaseException | None) -> bool:
    """Return whether a library's error began with a response that trickles."""
    while error is not None and not isinstance(error, TooSlow):
        error = error.__cause__ or error.__context__
    return error is not None


def refused(error: Any, what: str, host: str) -> SourceError:
    """Return the error for a response that is a refusal (botocore's `ClientError`)."""
    answer = error.response.get("ResponseMetadata", {})
    status, headers = int(answer.get("HTTPStatusCode", 0)), answer.get("HTTPHeaders", {})
    code = str(error.response.get("Error", {}).get("Code", ""))[:64]
    facts = {"host": host, "http_status": status, "code": code}
    words = one_line(str(error.response.get("Error", {}).get("Message", "")))
    why = f" It says: “{words}”." if words and words != code else ""
    if code == "NoSuchBucket":
        return ModelNotFound(f"{host} has no such bucket: {what}.", "Check the bucket and the endpoint.", **facts)
    if code in _WRONG_KEYS:
        return AccessDenied(f"{host} {_WRONG_KEYS[code]}.", _KEY_PLACES, **facts)
    if code == "InvalidObjectState":
        return AccessDenied(f"{what} is in an archive class.", "Restore it first, then run this again.", **facts)
    if code == "PreconditionFailed" or status == 412:
        return changed(what)
    region = headers.get("x-amz-bucket-region", "") or error.response.get("Error", {}).get("Region", "")
    if code in _ELSEWHERE and (region or status in (301, 307)):
        there = f"in the region {region}" if region else "at another endpoint"
        return SourceMisbehaved(
            f"The bucket of {what} is {there}.",
            f"Add ?region={region} to the address." if region else "Name its region or endpoint in the address.",
            **facts,
        )
    if code in _BUSY or status in BUSY:
        wait = retry_after_s(headers.get("retry-after", ""))
        known = {} if wait is None else {"retry_after_s": wait}
        return SourceUnavailable(f"{host} is busy or broken ({code}).", "Try again later.", **facts, **known)
    if status in (404, 410):
        return ModelNotFound(f"There is no {what}.", "Check the bucket and the prefix.", **facts)
    if status in (401, 403):
        return AccessDenied(
            f"{host} refuses access to {what} ({code or status}).{why}",
            f"These keys may lack s3:GetObject or s3:ListBucket there. {_KEY_PLACES}",
            **facts,
        )
    return SourceMisbehaved(
        f"{host} refuses {what} ({code or status}).{why}", "Check the endpoint and the path.", **facts
    )


def changed(what: str) -> SourceError:
    """Return the error for an object that changed after it was listed."""
    return SourceMisbehaved(
        f"{what} is no longer the object that it was a moment ago.",
        "Run the same command again: it starts with the object as it is now.",
        object=what,
    )
