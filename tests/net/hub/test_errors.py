"""Tests of net.hub.errors: what huggingface_hub raises for the answers of a real server, as our errors."""

from collections.abc import Iterator

import pytest
from huggingface_hub import HfApi

from tests.simulators.web import WebServer
from weighbridge.domain.hub_models import Gated
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.net.hub.errors import hub_errors

REF = ModelRef("huggingface", "org/model", "main")


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def refused(
    web: WebServer,
    status: int,
    *,
    token: str = "",
    content: bytes = b"",
    gated: Gated = Gated.UNKNOWN,
    **headers: str,
) -> WeighbridgeError:
    """Return the error for a Hub that answers a request for a description like this."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    web.put("/api/models/org/model/revision/main", content, status=status, headers=fields)
    api = HfApi(endpoint=web.url(""), token=token or False)
    with pytest.raises(WeighbridgeError) as error, hub_errors(REF, "https://hub.example", token, "", gated):
        api.model_info("org/model", revision="main")
    return error.value


def test_a_gated_model_says_where_access_is_asked_for(web: WebServer) -> None:
    error = refused(web, 403, X_Error_Code="GatedRepo")
    assert isinstance(error, AccessDenied)
    assert error.facts["page"] == "https://hub.example/org/model"
    assert "--token-env" in error.remedy
    assert "--token-env" not in refused(web, 403, token="hf_x", X_Error_Code="GatedRepo").remedy


@pytest.mark.parametrize(
    ("gated", "who"),
    [
        (Gated.AUTO, "without anybody's approval"),
        (Gated.MANUAL, "people of org approve or reject it"),
        (Gated.YES, "whichever the page offers"),
        (Gated.UNKNOWN, "whichever the page offers"),
    ],
)
@pytest.mark.parametrize("token", ["", "hf_x"])
def test_a_gated_model_says_who_has_to_approve(web: WebServer, gated: Gated, who: str, token: str) -> None:
    error = refused(web, 403, token=token, gated=gated, X_Error_Code="GatedRepo")
    assert who in error.remedy
    assert "https://hub.example/org/model" in error.remedy
    assert ("Then run the same command again." in error.remedy) == bool(token)
    assert error.facts["gated"] == str(gated)


@pytest.mark.parametrize(
    ("status", "code", "token", "kind", "words"),
    [
        (404, "RepoNotFound", "", ModelNotFound, "shows no model org/model"),
        (404, "RevisionNotFound", "", ModelNotFound, "no branch, tag or commit “main”"),
        (401, "", "", AccessDenied, "requires credentials"),
        (401, "", "hf_x", AccessDenied, "does not accept the token"),
        (403, "", "", AccessDenied, "refuses access"),
        (451, "", "", AccessDenied, "refuses access"),
        (429, "", "", SourceUnavailable, "wants fewer requests"),
        (503, "", "", SourceUnavailable, "busy or broken"),
        (418, "", "", SourceMisbehaved, "answers with HTTP 418"),
    ],
)
def test_refusals(web: WebServer, status: int, code: str, token: str, kind: type[WeighbridgeError], words: str) -> None:
    error = refused(web, status, token=token, **({"X_Error_Code": code} if code else {"X_Error_Message": "Because."}))
    assert type(error) is kind
    assert words in error.problem
    assert "hf_x" not in f"{error!r} {error.remedy} {error.facts}"


def test_the_servers_own_words_are_quoted_but_not_those_that_say_nothing(web: WebServer) -> None:
    assert "It says: “Out of order”." in refused(web, 503, X_Error_Message="Out of order.").problem
    assert (
        "It says" not in refused(web, 404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found").problem
    )


def test_the_wait_of_a_rate_limit_is_a_fact(web: WebServer) -> None:
    assert refused(web, 429, Retry_After="3").facts["retry_after_s"] == 3
    assert refused(web, 429, RateLimit='"api";r=0;t=12').facts["retry_after_s"] == 12
    assert "retry_after_s" not in refused(web, 429).facts


def test_an_answer_that_is_not_a_description_is_no_hub(web: WebServer) -> None:
    assert isinstance(refused(web, 200, content=b"<html>"), SourceMisbehaved)
    assert isinstance(refused(web, 200, content=b"[]"), SourceMisbehaved)


def test_an_id_that_the_client_refuses_is_an_invalid_reference() -> None:
    ref = ModelRef("huggingface", "a/b/c", "main")
    with pytest.raises(InvalidReference, match="a/b/c"), hub_errors(ref, "https://hub.example", ""):
        HfApi(endpoint="https://hub.example", token=False).model_info("a/b/c")


def test_a_closed_port_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="connection"), hub_errors(REF, "http://127.0.0.1:1", ""):
        HfApi(endpoint="http://127.0.0.1:1", token=False).model_info("org/model")
