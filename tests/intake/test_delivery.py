"""Messages are sent by threads of a process: how long they wait, and what no receiver is to blame for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.test_catalog import settle
from tests.simulators.web import WebServer
from weighbridge.catalog import Delivery, Subscription
from weighbridge.config.settings import Settings
from weighbridge.domain.access import Caller
from weighbridge.domain.clock import utc_now
from weighbridge.domain.webhooks import EVENTS, Destination
from weighbridge.errors import NotConfigured, UsageError
from weighbridge.intake.callers import create_key
from weighbridge.intake.delivery import DeliveryWorker, wait_after
from weighbridge.intake.resources import Resources
from weighbridge.intake.webhook_receivers import WantedSubscription, callback_of, callback_secret, subscribe
from weighbridge.intake.workspace import open_resources
from weighbridge.net.webhook_post import Receipt

RETRIES = (10.0, 100.0)
SLOW = Receipt(503, "HTTP 503.", wait_s=50.0)


@pytest.mark.parametrize(
    ("receipt", "attempts", "least", "most"),
    [
        (Receipt(500, "HTTP 500."), 1, 10, 11),
        (Receipt(500, "HTTP 500."), 2, 100, 110),
        (SLOW, 1, 50, 50),
        (SLOW, 2, 100, 110),
        (Receipt(429, "HTTP 429.", wait_s=1e9), 1, 86400, 86400),
    ],
)
def test_waits(receipt: Receipt, attempts: int, least: float, most: float) -> None:
    for _ in range(20):
        wait_s = wait_after(receipt, attempts, RETRIES)
        assert wait_s is not None
        assert least <= wait_s <= most


def test_ends() -> None:
    assert wait_after(Receipt(200), 1, RETRIES) is None
    assert wait_after(Receipt(500, "HTTP 500."), 3, RETRIES) is None
    assert wait_after(Receipt(500, "HTTP 500."), 1, ()) is None
    assert wait_after(Receipt(410, "HTTP 410.", is_final=True), 1, RETRIES) is None


def test_each_key_has_a_secret_of_its_own_also_one_with_an_earlier_name(tmp_path: Path) -> None:
    at = Settings(home=tmp_path)
    with open_resources(at) as resources:
        first = create_key(resources.catalog, "ci", "publisher", now=utc_now())[0].caller
        secret = callback_secret(first, resources)
        resources.catalog.keys.revoke("ci")
        second = create_key(resources.catalog, "ci", "publisher", now=utc_now())[0].caller
        issuers = Caller("ci", "publisher", kind="issuer")
        assert len({secret, *(callback_secret(one, resources) for one in (second, issuers))}) == 3
    with open_resources(at) as resources:  # Another process.
        assert callback_secret(first, resources) == secret


def test_a_secret_of_the_operator_s_that_is_not_there_is_no_fault_of_who_asks(tmp_path: Path) -> None:
    (tmp_path / "webhook-secret").write_text("\n")
    with open_resources(Settings(home=tmp_path)) as resources:
        caller = Caller("ada", "publisher", kind="issuer")
        with pytest.raises(NotConfigured, match="webhook-secret is empty"):
            callback_secret(caller, resources)
        with pytest.raises(NotConfigured):
            subscribe(WantedSubscription("https://8.8.8.8/", ("version.passed",)), caller, resources)
        assert resources.catalog.subscriptions.listed() == []


def plain(delivery: Delivery) -> Mapping[str, Any]:
    return delivery.message


def settings(home: Path, **more: Any) -> Settings:
    return Settings(home=home, webhook_networks=("127.0.0.0/8",), webhook_schemes=("http",), **more)


def told(resources: Resources, url: str, signer: str = "") -> None:
    """Have a message to a URL wait."""
    destination = Destination(url, signer or resources.signing_key.signer("test"))
    resources.catalog.subscriptions.add(Subscription(destination, EVENTS, (), "issuer:ada"))
    settle(resources.catalog)


def attempted(resources: Resources) -> Delivery:
    deadline = time.monotonic() + 30
    while not (found := resources.catalog.deliveries.listed()[0]).tried:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_a_server_with_another_secret_sends_nothing_and_says_why(tmp_path: Path) -> None:
    with WebServer() as web, open_resources(settings(tmp_path, webhook_secret="x" * 32)) as resources:
        told(resources, web.put("/hook"), signer="other/test")
        with DeliveryWorker(resources, 1, plain):
            found = attempted(resources)
        assert (found.state, "WEIGHBRIDGE_WEBHOOK_SECRET" in found.tried[0].problem) == ("waiting", True)
        assert web.requests == []


def test_a_bug_is_an_attempt_that_failed(tmp_path: Path) -> None:
    def broken(delivery: Delivery) -> Mapping[str, Any]:
        raise ZeroDivisionError

    with WebServer() as web, open_resources(settings(tmp_path)) as resources:
        told(resources, web.put("/hook"))
        with DeliveryWorker(resources, 1, broken):
            found = attempted(resources)
        assert found.tried[0].problem == "Something unexpected went wrong (ZeroDivisionError)."
        assert "ZeroDivisionError" in (tmp_path / "unexpected-error.txt").read_text()


def test_without_threads_other_processes_deliver(tmp_path: Path) -> None:
    with WebServer() as web, open_resources(settings(tmp_path)) as resources:
        told(resources, web.put("/hook"))
        with DeliveryWorker(resources, 0, plain):
            assert resources.catalog.deliveries.listed()[0].attempts == 0


def test_a_callback_is_checked_when_it_is_named(tmp_path: Path) -> None:
    with open_resources(Settings(home=tmp_path)) as resources:
        ci, other = (create_key(resources.catalog, name, "publisher", now=utc_now())[0].caller for name in ("ci", "o"))
        assert callback_of("", ci, resources) is None
        found = callback_of("https://no-such-host.invalid/x", ci, resources)  # It may have an address later.
        assert found == callback_of("https://no-such-host.invalid/x", ci, resources)
        assert found is not None
        assert found.signer != getattr(callback_of(found.url, other, resources), "signer", "")
        for url in ("https://10.0.0.1/", "http://8.8.8.8/", "https://0177.0.0.1/", "https://host:x/"):
            with pytest.raises(UsageError):
                callback_of(url, ci, resources)
