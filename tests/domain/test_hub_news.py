"""News of models on the Hub in words, and what counts as news."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from weighbridge.domain.hub_models import HubChange, HubField, HubPass, PassKind
from weighbridge.domain.hub_news import FIRST, RefreshDigest, is_newly_gated, names_of, names_organisation, sentence

AT = datetime(2026, 11, 28, tzinfo=UTC)


def change(field: str, before: str, after: str) -> HubChange:
    return HubChange("org/name", HubField(field), before, after, AT)


@pytest.mark.parametrize(
    ("field", "before", "after", "words"),
    [
        ("gated", "no", "manual", "org/name is gated (Approval Required) on the Hub, and was public."),
        ("gated", "auto", "no", "org/name is public on the Hub, and was gated (Terms Required)."),
        ("gated", "no", "nonsense", "org/name is nonsense on the Hub, and was public."),
        ("licence", "mit", "", "org/name has the licence none on the Hub, and had mit."),
        ("owner", "old/name", "org/name", "org/name was old/name: it has another owner or name on the Hub."),
        ("listed", "yes", "no", "org/name has vanished from the Hub."),
        ("disabled", "no", "yes", "org/name was closed by the Hub."),
    ],
)
def test_sentences(field: str, before: str, after: str, words: str) -> None:
    assert sentence(change(field, before, after)) == words


def test_a_renamed_model_is_known_by_both_names() -> None:
    assert names_of(change("owner", "old/name", "org/name")) == ("org/name", "old/name")
    assert names_of(change("gated", "no", "auto")) == ("org/name",)


@pytest.mark.parametrize(
    ("before", "after", "is_new"),
    [("no", "auto", True), ("no", "yes", True), ("auto", "manual", False), ("no", "unknown", False)],
)
def test_newly_gated(before: str, after: str, is_new: bool) -> None:
    assert is_newly_gated(change("gated", before, after)) == is_new


@pytest.mark.parametrize(
    ("pattern", "widens"),
    [
        ("meta-llama/*", True),
        ("a/b", True),
        ("*", False),
        ("*/x", False),
        ("m?/x", False),
        ("[ab]/x", False),
        ("gpt2", False),
        ("/x", False),
    ],
)
def test_patterns_that_widen(pattern: str, widens: bool) -> None:
    assert names_organisation(pattern) == widens


def test_a_digest_counts_all_and_shows_the_first() -> None:
    ended = HubPass(1, PassKind.FULL, "", AT, AT)
    digest = RefreshDigest.of(ended, [change("licence", "mit", "other")] * (FIRST + 5))
    assert (digest.counts["licence"], len(digest.first), digest.newly_gated) == (FIRST + 5, FIRST, 0)
    assert len(digest.to_json()["first"]) == FIRST
