"""Keys in the catalog, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from weighbridge.catalog import Catalog, schema
from weighbridge.catalog.keys import USE_EVERY
from weighbridge.domain.access import Caller, hash_of, looks_like_key
from weighbridge.domain.clock import utc_now
from weighbridge.errors import NotAuthenticated, NotInCatalog, StateConflict, UsageError
from weighbridge.intake.callers import FIRST_KEY, Callers, create_key, first_key

NOW = utc_now()


def make(catalog: Catalog, name: str = "ci", role: str = "publisher", **more: Any) -> str:
    return create_key(catalog, name, role, now=NOW, **more)[1]


def callers(catalog: Catalog, at: datetime = NOW) -> Callers:
    found = Callers(catalog, lambda: at)
    found._note_use = lambda id_, now: catalog.keys.note_use(id_, now)  # type: ignore[method-assign]
    return found


def test_a_key_makes_a_caller_and_its_text_is_stored_nowhere(catalog: Catalog) -> None:
    text = make(catalog, models=("team-a/*", "shared"), expires="90d")
    assert looks_like_key(text)
    caller = callers(catalog).caller(text)
    assert (caller.actor, caller.role, caller.models) == ("key:ci", "publisher", ("team-a/*", "shared"))
    with catalog._database.read() as connection:
        rows = [*connection.execute(select(schema.access_keys)), *connection.execute(select(schema.audit))]
    assert text not in str(rows)
    assert text[5:40] not in str(rows)
    assert hash_of(text) in str(rows[0])
    assert hash_of(text) not in str(rows[1:]), "the audit log holds no credential, not even a hash of one"


def test_what_is_no_valid_key_is_refused(catalog: Catalog) -> None:
    other = make(catalog, "other")
    catalog.keys.revoke("other")
    short = make(catalog, "short", expires="1h")
    for text, words in (
        ("", "not a key"),
        ("hf_wb" + "0" * 49, "not a key"),
        (other[:-1], "not a key"),
        (other, "other is revoked"),
    ):
        with pytest.raises(NotAuthenticated, match=words):
            callers(catalog).caller(text)
    assert callers(catalog, NOW + timedelta(minutes=59)).caller(short).name == "short"
    with pytest.raises(NotAuthenticated, match="short is expired"):
        callers(catalog, NOW + timedelta(hours=1)).caller(short)


def test_a_key_of_another_registry_is_refused(catalog: Catalog) -> None:
    text = make(catalog)
    with catalog._database.write() as connection:
        connection.execute(schema.access_keys.delete())
    with pytest.raises(NotAuthenticated, match="not one of this registry") as caught:
        callers(catalog).caller(text)
    assert text not in str(caught.value)


def test_a_name_is_free_again_once_its_key_is_revoked(catalog: Catalog) -> None:
    first = make(catalog)
    with pytest.raises(StateConflict, match="a key ci already"):
        make(catalog)
    catalog.keys.revoke("ci")
    second = make(catalog, role="reader")
    assert callers(catalog).caller(second).role == "reader"
    with pytest.raises(NotAuthenticated):
        callers(catalog).caller(first)
    with pytest.raises(NotInCatalog, match="no valid key nobody"):
        catalog.keys.revoke("nobody")
    assert [(key.name, key.state(NOW)) for key in catalog.keys.listed()] == [("ci", "valid"), ("ci", "revoked")]


def test_a_key_is_known_until_the_catalog_changes_or_it_expires(catalog: Catalog) -> None:
    text, at = make(catalog, expires="1h"), [NOW]
    found = Callers(catalog, lambda: at[0])
    found._note_use = lambda id_, now: None  # type: ignore[method-assign]

    def known() -> Caller | None:
        return found.known(text, catalog.audit.head())

    for _ in range(2):
        assert known() is None
        assert found.caller(text, catalog.audit.head()) == known()
        make(catalog, f"other-{_}")
    found.caller(text, catalog.audit.head())
    at[0] = NOW + timedelta(hours=1)
    assert known() is None
    with pytest.raises(NotAuthenticated, match="ci is expired"):
        found.caller(text, catalog.audit.head())
    at[0] = NOW
    assert known() is not None
    catalog.keys.revoke("ci")
    assert known() is None
    with pytest.raises(NotAuthenticated, match="ci is revoked"):
        found.caller(text, catalog.audit.head())


def test_keys_are_in_the_audit_log(catalog: Catalog) -> None:
    make(catalog.acting("cli:me"), models=("a/*",))
    catalog.acting("key:admin").keys.revoke("ci")
    created, revoked = catalog.audit.rows()
    assert (created.action, created.object, created.actor) == ("key.created", "key:ci", "cli:me")
    assert created.after == {"role": "publisher", "models": ["a/*"], "expires_at": None}
    assert (revoked.action, revoked.object, revoked.actor) == ("key.revoked", "key:ci", "key:admin")
    assert catalog.audit.prove().flaws == ()


def test_the_last_use_is_stored_at_most_once_a_minute(catalog: Catalog) -> None:
    make(catalog)
    (key,) = catalog.keys.listed()
    assert key.used_at is None
    for seconds, stored in ((0, 0), (59, 0), (60, 60), (30, 60)):
        catalog.keys.note_use(key.id, NOW + timedelta(seconds=seconds))
        (found,) = catalog.keys.listed()
        assert found.used_at == NOW + timedelta(seconds=stored)
    assert timedelta(seconds=60) == USE_EVERY
    assert len(catalog.audit.rows()) == 1


def test_the_first_key_is_made_once(catalog: Catalog) -> None:
    text = first_key(catalog, NOW)
    caller = callers(catalog).caller(text)
    assert (caller.name, caller.role, caller.models) == (FIRST_KEY, "admin", ())
    assert first_key(catalog, NOW) == ""
    catalog.keys.revoke(FIRST_KEY)
    assert first_key(catalog, NOW) == ""


@pytest.mark.parametrize(
    "wrong", [{"name": "a b"}, {"role": "root"}, {"models": ("/a",)}, {"expires": "soon"}, {"expires": "2001-01-01"}]
)
def test_a_wrong_order_makes_no_key(catalog: Catalog, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make(catalog, **wrong)
    assert catalog.keys.listed() == []
