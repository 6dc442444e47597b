"""When a licence has to be acknowledged, and which acknowledgement counts."""

from __future__ import annotations

import pytest

from weighbridge.domain.acknowledgements import Acknowledgement, is_given, is_needed
from weighbridge.domain.licence_terms import StatedLicence

LLAMA, TEXTS = StatedLicence("llama3.1"), {"LICENSE": "a" * 64}
GIVEN = Acknowledgement(1, "1.0.0", "llama3.1", "Ada", "key:ci", "2026-11-28T12:00:00+00:00", TEXTS)


@pytest.mark.parametrize(
    ("licence", "first", "needed"),
    [
        ("llama3.1", "restricted", True),
        ("llama3.1", "never", False),
        ("Apache-2.0", "restricted", False),
        ("Apache-2.0", "always", True),
        ("our-terms", "restricted", True),
        ("", "restricted", True),
    ],
)
def test_when_one_is_needed(licence: str, first: str, needed: bool) -> None:
    assert is_needed(StatedLicence(licence), first) == needed  # type: ignore[arg-type]


def test_it_counts_for_its_caller_licence_and_text() -> None:
    assert is_given(LLAMA, TEXTS, [GIVEN], "key:ci")
    assert is_given(LLAMA, {"LICENSE.txt": "a" * 64}, [GIVEN], "key:ci"), "the same text under another name"
    assert not is_given(LLAMA, TEXTS, [GIVEN], "key:other")
    assert not is_given(StatedLicence("llama3.2"), TEXTS, [GIVEN], "key:ci")
    assert not is_given(LLAMA, {"LICENSE": "b" * 64}, [GIVEN], "key:ci")
    assert not is_given(LLAMA, {}, [GIVEN], "key:ci")
    assert not is_given(LLAMA, TEXTS, [], "key:ci")
    assert not is_given(LLAMA, TEXTS, [GIVEN], "key:ci", since="2026-11-28T12:00:01+00:00"), "the name was another's"
