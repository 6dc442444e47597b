"""Patterns of names mean what `fnmatch` says, however they are written."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.name_patterns import matches, matches_any


@given(name=st.text("ab/", max_size=12), pattern=st.text("ab/*", max_size=12))
def test_stars_mean_what_they_mean_to_fnmatch(name: str, pattern: str) -> None:
    assert matches(name, pattern) == fnmatchcase(name, pattern)


@given(name=st.text("ab-]^!\n", max_size=8), pattern=st.text("ab-]^!\n*?[", max_size=10))
def test_letters_and_sets_mean_what_they_mean_to_fnmatch(name: str, pattern: str) -> None:
    assert matches(name, pattern) == fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("team-a/*", ("team-a/x", "team-a/x/y", "team-a/"), ("team-a", "team-b/x", "Team-a/x")),
        ("*", ("", "x"), ()),
        ("a*a", ("aa", "aba"), ("a", "ab")),
        ("*ab*ab*", ("abab", "xabyabz"), ("ab", "aba")),
        ("team-[ab]/?", ("team-a/x", "team-b/y"), ("team-c/x", "team-a/", "team-a/xy")),
        ("[!a-c]*", ("d", "dx"), ("a", "bx", "")),
        ("[", ("[",), ("",)),
        ("a,b", ("a,b",), ("a",)),
    ],
)
def test_some_patterns(pattern: str, fits: tuple[str, ...], others: tuple[str, ...]) -> None:
    assert [name for name in fits if not matches(name, pattern)] == []
    assert [name for name in others if matches(name, pattern)] == []


def test_hostile_patterns_are_little_work() -> None:
    """A thousand subscriptions may have so many, of each of which `fnmatch` would make a regular expression."""
    name = "a" * 255
    for n in range(20_000):
        assert not matches(name, f"{'*a' * 16}*{n}")
    for n in range(200):
        assert not matches(name, f"{'*a?[ab]' * 5}*{n}")


def test_one_of_several() -> None:
    assert matches_any("x", ())
    assert matches_any("team-a/x", ("other", "team-a/*"))
    assert not matches_any("team-b/x", iter(("other", "team-a/*")))
