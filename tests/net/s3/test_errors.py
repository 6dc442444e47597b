"""Tests of net.s3.errors: refusals of S3 and failures of AWS's client as kinds of error with a remedy."""

from typing import Any

import pytest
import urllib3
from botocore import exceptions as boto

from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    InvalidReference,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.net.s3.errors import foreign_errors

WHAT, HOST = "s3://bucket/model", "s3.example"


def raised(error: Exception) -> WeighbridgeError:
    with pytest.raises(WeighbridgeError) as converted, foreign_errors(WHAT, HOST):
        raise error
    return converted.value


def refusal(status: int, code: str, message: str = "no", **headers: str) -> boto.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return boto.ClientError(response, "GetObject")


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (404, "NoSuchBucket", ModelNotFound, "no such bucket"),
        (404, "NoSuchKey", ModelNotFound, f"There is no {WHAT}."),
        (403, "AccessDenied", AccessDenied, "It says: “no”."),
        (403, "InvalidAccessKeyId", AccessDenied, "has no such access key id"),
        (403, "RequestTimeTooSkewed", AccessDenied, "clock is wrong"),
        (403, "InvalidObjectState", AccessDenied, "archive class"),
        (412, "PreconditionFailed", SourceMisbehaved, "no longer the object"),
        (503, "SlowDown", SourceUnavailable, "busy or broken"),
        (200, "SlowDown", SourceUnavailable, "busy or broken"),  # a failure in the middle of a listing
        (500, "InternalError", SourceUnavailable, "busy or broken"),
        (400, "InvalidArgument", SourceMisbehaved, "refuses"),
    ],
)
def test_refusals(status: int, code: str, kind: type[WeighbridgeError], words: str) -> None:
    error = raised(refusal(status, code))
    assert type(error) is kind
    assert words in error.problem
    assert error.remedy


def test_a_bucket_elsewhere_names_its_region_in_the_remedy() -> None:
    error = raised(refusal(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-1"}))
    assert "?region=eu-west-1" in error.remedy
    assert "endpoint" in raised(refusal(307, "TemporaryRedirect")).remedy


def test_the_wait_that_a_busy_service_asks_for_is_a_fact() -> None:
    assert raised(refusal(503, "SlowDown", **{"retry-after": "7"})).facts["retry_after_s"] == 7
    assert "retry_after_s" not in raised(refusal(503, "SlowDown")).facts


def test_hostile_words_stay_short_and_on_one_line() -> None:
    problem = raised(refusal(403, "AccessDenied", f"a\nb\x1b[31m{'c' * 10_000}")).problem
    assert "\n" not in problem
    assert "\x1b" not in problem
    assert len(problem) < 1000


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (boto.NoCredentialsError(), AccessDenied),
        (boto.ProfileNotFound(profile="x"), AccessDenied),
        (boto.ParamValidationError(report="x"), InvalidReference),
        (boto.SSLError(endpoint_url="x", error="y"), SourceMisbehaved),
        (boto.ReadTimeoutError(endpoint_url="x"), SourceUnavailable),
        (urllib3.exceptions.ReadTimeoutError(None, "", "x"), SourceUnavailable),  # type: ignore[arg-type]
        (boto.EndpointConnectionError(endpoint_url="x"), SourceUnavailable),
        (ConnectionResetError(), SourceUnavailable),
        (KeyError("Key"), SourceMisbehaved),  # a response without a field that botocore expects
    ],
)
def test_failures_without_a_refusal(error: Exception, kind: type[WeighbridgeError]) -> None:
    assert type(raised(error)) is kind


def test_an_error_of_our_policy_stays_itself_although_botocore_wraps_it() -> None:
    ours, wrapped = AddressRefused("No.", "Ask."), boto.HTTPClientError(error="wrapped")
    wrapped.__context__ = ours
    assert raised(wrapped) is ours
