"""What claims make of a caller: the highest role that they give, for the models that they name; by default nothing."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.domain.access import Caller, Role, looks_like_key, new_key
from weighbridge.domain.claims import ClaimRules, looks_like_token
from weighbridge.errors import NotAuthenticated, NotPermitted

ROLES: dict[str, Role] = {"staff": "reader", "ml": "publisher", "ops": "admin"}


def rules(role: str = "roles", models: str = "", subject: str = "sub") -> ClaimRules:
    return ClaimRules(ROLES, role, models, subject)


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("roles", {"roles": ["staff"]}, "reader"),
        ("roles", {"roles": "ml"}, "publisher"),
        ("roles", {"roles": ["staff", "ops", "ml"]}, "admin"),
        ("roles", {"roles": ["other", None, 7, ["ops"], "staff"]}, "reader"),
        ("realm_access.roles", {"realm_access": {"roles": ["ml"]}}, "publisher"),
        ("resource_access.my.app.roles", {"resource_access": {"my.app": {"roles": ["ml"]}}}, "publisher"),
        ("https://example.com/roles", {"https://example.com/roles": ["ops"]}, "admin"),
        ("scope", {"scope": "openid ml profile"}, "publisher"),
        ("scp", {"scp": ["ml"]}, "publisher"),
    ],
)
def test_the_highest_role_counts(claim: str, claims: dict[str, Any], role: Role) -> None:
    assert rules(claim).caller({"sub": "anna", **claims}) == Caller("anna", role, kind="issuer")


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("roles", {}),
        ("roles", {"roles": []}),
        ("roles", {"roles": ["OPS", "ops ", "admin", ""]}),
        ("roles", {"roles": "staff ml"}),
        ("roles", {"roles": True}),
        ("roles", {"roles": {"ops": False}}),
        ("roles", {"realm_access": {"roles": ["ops"]}}),
        ("a.roles", {"a": ["roles", "ops"], "roles": ["ops"]}),
        ("a.b.roles", {"a": {"roles": ["ops"]}}),
    ],
)
def test_who_is_given_no_role_may_nothing(claim: str, claims: dict[str, Any]) -> None:
    with pytest.raises(NotPermitted, match="gives no role"):
        rules(claim).caller({"sub": "anna", **claims})


@pytest.mark.parametrize(
    ("value", "models"), [(["a/*", "b"], ("a/*", "b")), ("a/*", ("a/*",)), (["a/*", "*"], ()), ("*", ())]
)
def test_a_role_may_be_for_some_models(value: object, models: tuple[str, ...]) -> None:
    caller = rules(models="wb.models").caller({"sub": "anna", "roles": "ml", "wb": {"models": value}})
    assert caller.models == models
    assert caller.may("publisher", "a/x")
    assert caller.may("publisher", "c") == (models == ())


@pytest.mark.parametrize("value", [None, [], "", [""], ["a,b"], ["/a"], [7], {"*": True}])
def test_a_token_that_names_no_model_is_for_none(value: object) -> None:
    with pytest.raises(NotPermitted):
        rules(models="models").caller({"sub": "anna", "roles": "ops", "models": value})


@pytest.mark.parametrize("value", [None, "", " ", " anna", "anna\n", "a\u202eb", "x" * 201, 7, ["anna"], "a\udc00"])
def test_a_name_that_the_audit_log_could_not_show_is_refused(value: object) -> None:
    for claim in ("sub", "preferred_username"):
        with pytest.raises(NotAuthenticated, match=claim):
            rules(subject=claim).caller({"sub": "anna", "roles": "ops", claim: value})


def test_the_audit_log_names_the_subject() -> None:
    caller = rules(subject="email").caller({"sub": "f00", "email": "anna@example.com", "roles": "ml"})
    assert (caller.actor, caller.credential) == ("issuer:anna@example.com", "token")


def test_no_text_is_both_a_key_and_a_token() -> None:
    key = new_key()
    assert (looks_like_key(key), looks_like_token(key)) == (True, False)
    for text in (f"{key}.a.b", f"a.{key}.b", f"a.b.{key}"):
        assert (looks_like_key(text), looks_like_token(text)) == (False, True)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.", ".b.c", "a.b.c.d.e", "a.b.c=", "a.b.c\n", "a.b.ç", "a b.c.d"])
def test_what_is_no_signed_token(text: str) -> None:
    assert not looks_like_token(text)
