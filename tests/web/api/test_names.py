"""Names with slashes in paths, plain and encoded, and names that look like routes."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.config.settings import Settings
from weighbridge.domain.names import MAX_NAME_BYTES, checked_name
from weighbridge.errors import InvalidName
from weighbridge.web.api.names import RESERVED, NamesInPaths, path_of
from weighbridge.web.app import create_api

pytestmark = pytest.mark.xdist_group("web")
PATHS = create_api(Settings()).openapi()["paths"]
BELOW = [path.removeprefix("/api/models/").split("/") for path in PATHS if path.startswith("/api/models/")]
#: Every word that a route below /models has.
WORDS = sorted({part for parts in BELOW for part in parts if not part.startswith("{")})
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
    assert {parts[0] for parts in BELOW if not parts[0].startswith("{")} == RESERVED


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


#: Names of words that routes have, of signs that paths have, and of anything else.
LIKELY = st.lists(
    st.sampled_from([*WORDS, "1.0.0", "a", "...", "a.b", "~", "%", "+", "&=;", ":", "ü", "模型 ½"]), min_size=1
)
DRAWN = st.one_of(st.text(min_size=1, max_size=40), LIKELY.map("/".join), LIKELY.map("".join)).filter(_valid)


def _ways(name: str) -> set[str]:
    """Return ways to write a name as one segment of a path, all of which mean it."""
    every = "".join(f"%{byte:02X}" for byte in name.encode())
    ways = {path_of(name), every, every.lower()}
    return ways if name in RESERVED else ways | {quote(name, safe="").replace("%2F", "%2f")}


def _written(name: str) -> bool:
    """Whether a name is unambiguous with its slashes as they are: it does not end like a route, and is none."""
    parts = name.split("/")
    ends = [tail[1:] for tail in BELOW if tail[0].startswith("{") and len(tail) > 1]
    fixed = [path for path in BELOW if not path[0].startswith("{")]
    return not any(_alike(parts, path) for path in fixed) and not any(
        len(parts) > len(tail) and _alike(parts[-len(tail) :], tail) for tail in ends
    )


def _alike(parts: list[str], route: list[str]) -> bool:
    return len(parts) == len(route) and all(w.startswith("{") or p == w for p, w in zip(parts, route, strict=True))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("versions")
@example("a/versions")
@example("a/versions/1.0.0")
@example("versions/versions/versions")
@example("scan/diff/license")
@given(DRAWN)
def test_every_name_is_a_model_of_its_own(served: Served, name: str) -> None:
    settle(served.catalog, name=name)
    for way in _ways(name):
        assert served.get(f"/models/{way}").json()["name"] == name
    for tail in ("/versions/1.0.0", "/scan"):
        assert served.get(f"/models/{path_of(name)}{tail}").json()["name"] == name
    assert [one["name"] for one in served.get(f"/models/{path_of(name)}/versions").json()["items"]] == [name]
    assert served.get(f"/models/{path_of(name)}/versions/9.9.9").status_code == 404
    plain = served.get(f"/models/{quote(name)}")
    if _written(name):
        assert plain.json()["name"] == name
        assert served.get(f"/models/{quote(name)}/versions/1.0.0").json()["name"] == name
    else:
        assert plain.status_code < 500
        assert plain.json().get("name") != name
