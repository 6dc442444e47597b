"""Access: what each role may do to which model, and keys that are told from mistyped ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.access import (
    ANONYMOUS,
    KEY_PATTERN,
    ROLES,
    Caller,
    CallerKind,
    Role,
    checked_expiry,
    checked_key_name,
    checked_models,
    checked_role,
    hash_of,
    looks_like_key,
    new_key,
)
from weighbridge.errors import UsageError

KEY = new_key()
AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("needed", ROLES)
def test_a_role_may_what_the_lower_ones_may(role: Role, needed: Role) -> None:
    allowed: dict[Role, set[Role]] = {
        "reader": {"reader"},
        "publisher": {"reader", "publisher"},
        "admin": set(ROLES),
    }
    caller = Caller("ci", role)
    assert caller.may(needed) == caller.may(needed, "org/model") == (needed in allowed[role])
    assert caller.may_everywhere(needed) == caller.may(needed)


def test_patterns_limit_the_role_to_some_models() -> None:
    caller = Caller("team-a", "admin", ("team-a/*", "shared"))
    assert caller.may("admin", "team-a/llama")
    assert caller.may("admin", "team-a/x/y")
    assert caller.may("reader", "shared")
    for other in ("team-b/llama", "team-a", "shared/x", "Team-A/llama", "x/team-a/llama"):
        assert not caller.may("reader", other)
    assert caller.may("admin")
    assert not caller.may_everywhere("reader")


def test_nobody_reads_and_does_no_more() -> None:
    assert ANONYMOUS.may("reader", "org/model")
    assert not ANONYMOUS.may("publisher")
    assert ANONYMOUS.actor == "anonymous"


@pytest.mark.parametrize(("kind", "actor"), [("key", "key:ci"), ("issuer", "issuer:ci")])
def test_the_audit_log_names_the_caller(kind: CallerKind, actor: str) -> None:
    assert kind in get_args(CallerKind)
    assert Caller("ci", "reader", kind=kind).actor == actor


def test_a_subject_of_an_issuer_cannot_write_lines_into_the_log() -> None:
    actor = Caller("a\nkey:root\x1b[2K\u202e" + "x" * 999, "reader", kind="issuer").actor
    assert actor.isprintable()
    assert len(actor) < 250


def test_keys_have_the_shape_that_clients_of_the_hub_send() -> None:
    keys = {new_key() for _ in range(200)}
    assert len(keys) == 200
    for key in keys:
        assert re.fullmatch(r"hf_[A-Za-z0-9]{34,}", key)
        assert re.fullmatch(KEY_PATTERN, key)
        assert looks_like_key(key)


@given(st.data())
def test_a_key_with_one_wrong_letter_is_none(data: st.DataObject) -> None:
    key = KEY
    at = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from("aZ0_-é").filter(lambda letter: letter != key[at]))
    assert not looks_like_key(key[:at] + letter + key[at + 1 :])
    assert not looks_like_key(key[:at] + key[at + 1 :])


@pytest.mark.parametrize("text", ["", "hf_wb", "hf_" + "a" * 37, "é" * 54, "hf_wb" + "٣" * 49])
def test_another_text_is_no_key(text: str) -> None:
    assert not looks_like_key(text)
    assert not looks_like_key(f"{KEY}\n")


def test_only_a_hash_of_a_key_is_kept() -> None:
    key = new_key()
    assert re.fullmatch("[0-9a-f]{64}", hash_of(key))
    assert hash_of(key) == hash_of(key) != hash_of(new_key())
    assert hash_of("\ud800")


def test_names_of_keys() -> None:
    assert checked_key_name("ci.build_2-b") == "ci.build_2-b"
    for wrong in ("", "-ci", "a b", "a/b", "a:b", "ü", "a\n", "x" * 65):
        with pytest.raises(UsageError, match="cannot be named"):
            checked_key_name(wrong)


def test_roles_are_known_by_name() -> None:
    assert [checked_role(role) for role in ROLES] == list(ROLES)
    with pytest.raises(UsageError, match="Roles: reader, publisher, admin"):
        checked_role("Root\x1b")


def test_patterns_that_match_no_name_are_refused() -> None:
    assert checked_models(["team-a/*", "x", "x"]) == ("team-a/*", "x")
    for wrong in ("", " a", "/a", "a\n", "a,b", "x" * 256):
        with pytest.raises(UsageError, match="matches no model"):
            checked_models([wrong])


def test_a_pattern_has_so_many_wildcards_and_no_more() -> None:
    assert checked_models(["*a" * 16]) == ("*a" * 16,)
    for wrong in ("*a" * 17, "?" * 17, "*?[ab]" * 6):
        with pytest.raises(UsageError, match="more than 16 of the signs"):
            checked_models([wrong])


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("90d", AT + timedelta(days=90)),
        ("12h", AT + timedelta(hours=12)),
        ("8w", AT + timedelta(weeks=8)),
        ("2026-12-24", datetime(2026, 12, 25, tzinfo=UTC)),
        ("2026-11-28", datetime(2026, 11, 29, tzinfo=UTC)),
    ],
)
def test_when_a_key_ends(text: str, end: datetime) -> None:
    assert checked_expiry(text, AT) == end


@pytest.mark.parametrize(
    "text", ["", "90", "d", "-1d", "0d", "90m", "999999w", "2026-11-27", "2026-02-30", "٣d", "1d\n"]
)
def test_an_end_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError):
        checked_expiry(text, AT)
