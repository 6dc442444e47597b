"""What is asked of a rescan, and which reports count as those of today's engines."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.catalog.values import report
from weighbridge.domain.report import NOT_APPLICABLE, WINDOWED
from weighbridge.domain.rescans import Marks, RescanRequest, budget_seconds, counts, share_of
from weighbridge.errors import InvalidName, UsageError


def test_a_request_is_read_of_texts_and_of_json() -> None:
    request = RescanRequest.of(("org/a", "org/b@1.0.0", "org/a"), "90m", "50%", whole=True)
    assert request == RescanRequest(("org/a", "org/b@1.0.0"), 5400, 0.5, whole=True)
    assert RescanRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert RescanRequest.of() == RescanRequest()


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86_400)])
def test_a_budget_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert budget_seconds(text) == seconds


@pytest.mark.parametrize("text", ["2", "h", "-1h", "0h", "1.5h", "2 hours", "9999999h", "\uff12h"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="budget"):
        budget_seconds(text)


@pytest.mark.parametrize("text", ["0%", "101%", "50", "half", "-5%", "1e1%", "\u0665\u0660%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="share"):
        share_of(text)
    assert (share_of("1%"), share_of("100%"), share_of("")) == (0.01, 1.0, 1.0)


def test_a_name_that_no_model_can_have_is_refused() -> None:
    with pytest.raises(InvalidName):
        RescanRequest.of(("../etc",))


def test_only_what_todays_engines_wrote_is_current() -> None:
    marks = Marks({"clamav": (("1.4.6", "db-1"), ("1.4.6", "db-1+part"))})
    assert marks.current(report())
    assert marks.current(report(rules="db-1+part"))
    assert not marks.current(report(rules="db-0"))
    assert not marks.current(report(scanner="pickles"))


def test_a_report_counts_where_its_engine_would_see_no_more() -> None:
    done = report()
    skipped = replace(done, status="skipped", reason=NOT_APPLICABLE)
    windowed, encrypted = (replace(done, status="partial", reason=reason) for reason in (WINDOWED, "encrypted"))
    failed, put_off = replace(done, status="failed"), replace(done, status="skipped", reason="too late")
    assert [counts(one) for one in (done, skipped, windowed, encrypted, failed, put_off)] == [True] * 3 + [False] * 3
    assert [counts(one, partial=True) for one in (encrypted, failed, put_off)] == [True, False, False]
