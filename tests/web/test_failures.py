"""An address that fails too often has to wait; others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.weighbridge import serving
from weighbridge.errors import TooManyFailures
from weighbridge.web.failures import LIMIT, WINDOW_S, Failures

pytestmark = pytest.mark.xdist_group("web")


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _failed(failures: Failures, address: str, times: int = LIMIT) -> None:
    for _ in range(times):
        failures.refuse(address, "token")
        failures.record(address)


def test_it_waits_until_its_first_failure_is_old() -> None:
    clock = _Clock()
    failures = Failures(clock=clock)
    _failed(failures, "192.0.2.1")
    with pytest.raises(TooManyFailures, match="60 seconds"):
        failures.refuse("192.0.2.1", "token")
    failures.refuse("192.0.2.2", "token")
    clock.now += WINDOW_S - 1
    with pytest.raises(TooManyFailures):
        failures.refuse("192.0.2.1", "token")
    clock.now += 1
    failures.refuse("192.0.2.1", "token")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "x", False),
    ],
)
def test_what_is_counted_together(one: str, other: str, same: bool) -> None:
    failures = Failures(clock=_Clock())
    _failed(failures, one)
    if same:
        with pytest.raises(TooManyFailures):
            failures.refuse(other, "token")
    else:
        failures.refuse(other, "token")


def test_a_token_that_was_valid_is_not_held_up() -> None:
    failures = Failures(clock=_Clock())
    failures.accept("valid")
    _failed(failures, "192.0.2.1")
    failures.refuse("192.0.2.1", "valid")
    with pytest.raises(TooManyFailures):
        failures.refuse("192.0.2.1", "other")


@pytest.mark.parametrize("processes", [2, 3, 4, LIMIT])
def test_several_processes_allow_no_more_than_one(processes: int) -> None:
    each = LIMIT // processes
    for failures in (Failures(processes, _Clock()) for _ in range(processes)):
        _failed(failures, "192.0.2.1", each)
        with pytest.raises(TooManyFailures):
            failures.refuse("192.0.2.1", "token")


def test_each_of_very_many_processes_allows_one() -> None:
    failures = Failures(64, _Clock())
    _failed(failures, "192.0.2.1", 1)
    with pytest.raises(TooManyFailures):
        failures.refuse("192.0.2.1", "token")


def test_memory_is_bounded() -> None:
    failures = Failures(clock=_Clock())
    for number in range(30_000):
        failures.record(f"10.0.{number // 256}.{number % 256}")
        failures.accept(str(number))
    assert (len(failures._times), len(failures._valid)) == (10_000, 10_000)


def test_over_http_a_proxy_says_where_requests_come_from(tmp_path: Path) -> None:
    wrong = {"Authorization": "Bearer no"}
    environment = {"WEIGHBRIDGE_SERVE_PROXIES": "127.0.0.1", "WEIGHBRIDGE_API_READING": "open"}
    with serving(tmp_path, environment) as served:
        valid = served.key("reader")
        assert served.get("/models", headers=valid).status_code == 200
        statuses = [served.get("/models", headers=wrong).status_code for _ in range(LIMIT + 1)]
        assert statuses == [401] * LIMIT + [429]
        response = served.get("/models", headers=wrong)
        assert 0 < int(response.headers["retry-after"]) <= WINDOW_S
        assert response.json()["type"].endswith(":too-many-failures")
        assert served.get("/models", headers=served.key("admin")).status_code == 429, "a key not seen before"
        assert served.get("/models").status_code == 200, "it may read as everybody may"
        assert served.get("/models", headers=valid).status_code == 200, "it was valid before"
        elsewhere = {**wrong, "X-Forwarded-For": "192.0.2.7"}
        assert served.get("/models", headers=elsewhere).status_code == 401


def test_only_a_proxy_is_believed(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for number in range(LIMIT):
            served.get("/models", headers={"Authorization": "Bearer no", "X-Forwarded-For": f"192.0.2.{number}"})
        headers = {"Authorization": "Bearer no", "X-Forwarded-For": "192.0.2.200"}
        assert served.get("/models", headers=headers).status_code == 429
