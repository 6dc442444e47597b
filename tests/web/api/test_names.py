"""Names with slashes in paths, plain and encoded, and names that look like routes."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.config.settings import Settings
from weighbridge.domain.names import MAX_NAME_BYTES, checked_name
from weighbridge.errors import InvalidName
from weighbridge.web.api.names import RESERVED, NamesInPaths, path_of
from weighbridge.web.app import create_api

pytestmark = pytest.mark.xdist_group("web")
ROUTES = (
    "/api/models",
    "/api/models/leaderboard",
    "/api/models/{id}",
    "/api/models/{id}/versions",
    "/api/models/{id}/versions/{version}",
    "/api/models/{id}/versions/{version}/files",
    "/api/models/{id}/license/check",
)


async def _nothing(*_arguments: object) -> None:
    """Stand for the application, which is not asked here."""


NAMES = NamesInPaths(_nothing, "/api/models", ROUTES)


def routed(raw: str) -> list[str]:
    """Return the segments below /api/models, each decoded."""
    path = NAMES.routed(raw, unquote(raw))
    return [unquote(part) for part in path.removeprefix("/api/models/").split("/")]


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        ("a", ["a"]),
        ("org/name", ["org/name"]),
        ("org%2Fname", ["org/name"]),
        ("org%2fname/versions", ["org/name", "versions"]),
        ("org/name/versions/1.0.0", ["org/name", "versions", "1.0.0"]),
        ("a/b/c/d/versions/1.0.0/files", ["a/b/c/d", "versions", "1.0.0", "files"]),
        ("leaderboard", ["leaderboard"]),
        ("leaderboard/versions", ["leaderboard", "versions"]),
        ("versions", ["versions"]),
        ("versions/versions", ["versions", "versions"]),
        ("org%2Fversions", ["org/versions"]),
        ("org%2Fversions/versions", ["org/versions", "versions"]),
        ("license", ["license"]),
        ("org/license", ["org/license"]),
        ("org/license/check", ["org", "license", "check"]),
        ("100%25/%3F", ["100%/?"]),
    ],
)
def test_where_a_name_ends(raw: str, segments: list[str]) -> None:
    assert routed(f"/api/models/{raw}") == segments


def test_a_word_of_a_route_counts_as_it_is_written() -> None:
    assert NAMES.routed("/api/models/leaderboard", "/api/models/leaderboard") == "/api/models/leaderboard"
    assert NAMES.routed("/api/models/%6Ceaderboard", "/api/models/leaderboard") != "/api/models/leaderboard"


def test_the_words_that_are_reserved() -> None:
    paths = create_api(Settings()).openapi()["paths"]
    words = {path.removeprefix("/api/models/") for path in paths if path.startswith("/api/models/")}
    assert {word.partition("/")[0] for word in words if not word.startswith("{")} == RESERVED


def _valid(name: str) -> bool:
    try:
        return bool(checked_name(name))
    except InvalidName:
        return False


@given(st.text(min_size=1, max_size=40).filter(_valid))
def test_every_name_can_be_encoded(name: str) -> None:
    for tail in ([], ["versions"], ["versions", "1.0.0"]):
        assert routed("/".join(["/api/models", path_of(name), *tail])) == [name, *tail]


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_path_is_too_odd(raw: str, decoded: str) -> None:
    assert isinstance(NAMES.routed(f"/api/models/{raw}", decoded), str)


@pytest.mark.parametrize(
    "name", ["one", "team/name", "org/versions", "leaderboard", "größe ½/模型", "x" * MAX_NAME_BYTES]
)
def test_a_model_is_found_by_its_name(served: Served, name: str) -> None:
    settle(served.catalog, name=name)
    assert served.get(f"/models/{path_of(name)}").json()["name"] == name
    if name not in ("org/versions", "leaderboard"):
        assert served.get(f"/models/{quote(name)}").json()["name"] == name
