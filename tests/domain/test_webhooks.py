"""Which changes are events, which URLs receivers may have, and what secrets are derived from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from weighbridge.domain.audit import AuditRow
from weighbridge.domain.webhooks import Destination, SigningKey, checked_events, checked_url, event_of
from weighbridge.errors import InvalidConfiguration, UsageError

KEY = SigningKey(b"a secret of the operator's")


@pytest.mark.parametrize(
    ("action", "before", "after", "event"),
    [
        ("version.settled", None, "PASSED", "version.passed"),
        ("version.settled", None, "FAILED", "version.quarantined"),
        ("version.settled", "PASSED", "FAILED", "version.quarantined"),
        ("version.settled", "FAILED", "PASSED", "version.passed"),
        ("version.settled", "PASSED", "PASSED", None),
        ("version.settled", "FAILED", "FAILED", None),
        ("version.settled", None, "SKIPPED", None),
        ("version.reinstated", "FAILED", "PASSED", "version.passed"),
        ("version.reinstated", "FAILED", "FAILED", None),
        ("version.withdrawn", "FAILED", "FAILED", "version.withdrawn"),
        ("version.regressed", None, None, "version.regressed"),
        ("licence.acknowledged", None, None, "licence.acknowledged"),
        ("version.published", None, None, None),
        ("job.done", None, "PASSED", None),
    ],
)
def test_events(action: str, before: str | None, after: str | None, event: str | None) -> None:
    states: list[dict[str, Any] | None] = [None if one is None else {"status": one} for one in (before, after)]
    assert event_of(AuditRow(1, datetime(2026, 1, 1, tzinfo=UTC), "key:ci", action, "m@1.0.0", *states)) == event


def test_events_are_named_in_their_order_once() -> None:
    assert checked_events(["version.regressed", "version.passed", "version.passed"]) == (
        "version.passed",
        "version.regressed",
    )
    for wrong in ([], ["version.passed", "version.loved"]):
        with pytest.raises(UsageError):
            checked_events(wrong)


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks", "//host/x", "https://", "https:///x", "https://host:0/", "https://host:99999/", "https://[::1/"),
        *("https://user:hunter2@host/", "https://hunter2@host/", "https://@host/", "https://host/#hunter2"),
        *("https://host/\\x", "https://host/ x", "https://host/\nX: y", "https://höst/", "https://host/" + "x" * 2048),
    ],
)
def test_urls_that_receivers_cannot_have(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_url(url)
    assert "hunter2" not in str(caught.value)


def test_a_path_and_a_query_may_be_secret() -> None:
    url = "https://Hooks.example:8443/hunter2?token=hunter2"
    destination = Destination(checked_url(url), "s")
    assert destination.origin == "https://hooks.example:8443"
    assert "hunter2" not in repr(destination)


def test_each_receiver_has_a_secret_of_its_own_that_is_stored_nowhere() -> None:
    signers = [KEY.signer(name) for name in ("subscription 1", "subscription 2", "callbacks of key:ci")]
    secrets = [KEY.secret_of(signer) for signer in signers]
    assert len(set(secrets)) == 3
    assert all(secret.startswith("whsec_") for secret in secrets)
    assert secrets == [KEY.secret_of(signer) for signer in signers]
    for secret, signer in zip(secrets, signers, strict=True):
        assert Webhook(secret).sign("msg_1", datetime(2026, 1, 1, tzinfo=UTC), "{}").startswith("v1,")
        assert secret.removeprefix("whsec_")[:8] not in signer
    assert "operator" not in repr(KEY)


def test_another_secret_of_the_operator_s_signs_nothing_in_the_name_of_the_first() -> None:
    with pytest.raises(InvalidConfiguration, match="WEIGHBRIDGE_WEBHOOK_SECRET"):
        SigningKey(b"another one").secret_of(KEY.signer("subscription 1"))
