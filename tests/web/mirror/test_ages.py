"""What answers say of the age of a branch upstream."""

from __future__ import annotations

import pytest

from weighbridge.intake.upstream_branches import Branch
from weighbridge.web.mirror.ages import age_headers, age_warnings

COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("branch", "headers"),
    [
        (Branch(COMMIT, 7), {"age": "7"}),
        (Branch(COMMIT, 400, False), {"age": "400", "warning": '110 weighbridge "Response is Stale"'}),
        (
            Branch(COMMIT, 400, False, "It is down."),
            {
                "age": "400",
                "warning": '110 weighbridge "Response is Stale", 111 weighbridge "Revalidation Failed"',
            },
        ),
    ],
)
def test_headers(branch: Branch, headers: dict[str, str]) -> None:
    assert age_headers(branch) == headers


@pytest.mark.parametrize(
    ("age_s", "words"), [(90, "90 seconds"), (400, "6 minutes"), (7000, "116 minutes"), (3 * 86_400, "72 hours")]
)
def test_a_person_reads_how_old_it_is(age_s: int, words: str) -> None:
    assert age_warnings(Branch(COMMIT, age_s, False)) == ()
    (text,) = age_warnings(Branch(COMMIT, age_s, False, "It is down."))
    assert f"had it {words} ago" in text
