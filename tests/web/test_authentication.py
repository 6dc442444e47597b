"""Who may ask for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.weighbridge import Served, serving
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import FIRST_KEY, create_key

pytestmark = pytest.mark.xdist_group("web")


@pytest.mark.parametrize(
    ("environment", "options", "is_open"),
    [
        ({}, ["--host", "0.0.0.0"], False),
        ({"WEIGHBRIDGE_API_READING": "open"}, ["--host", "0.0.0.0"], True),
        ({"WEIGHBRIDGE_API_READING": "closed"}, [], False),
    ],
)
def test_reading_is_closed_where_others_can_reach_it(
    tmp_path: Path, environment: dict[str, str], options: list[str], is_open: bool
) -> None:
    with serving(tmp_path, environment, *options) as served:
        served.url = served.url.replace("0.0.0.0", "127.0.0.1")
        for path in ("/models", "/models/a", "/models/a/b"):
            response = served.get(path)
            assert (response.status_code == 401) != is_open
    if not is_open:
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert "weighbridge token create" in response.json()["remedy"]


def test_a_proxy_or_a_further_name_lets_others_in_so_that_reading_needs_a_key() -> None:
    assert Settings().reading_is_open
    for more in ({"serve_proxies": ("127.0.0.1",)}, {"serve_names": ("models.example.com",)}, {"serve_host": "::"}):
        assert not Settings(**more).reading_is_open
        assert Settings(**more, api_reading="open").reading_is_open


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "Bearer hf_wbx", "Bearer \xff", "x" * 9000])
def test_what_is_no_key_is_refused_also_where_reading_is_open(served: Served, header: str) -> None:
    assert served.get("/models").status_code == 200
    response = served.get("/models", headers={"Authorization": header.encode("latin-1")})
    assert response.status_code == 401


def test_a_key_opens_what_is_closed_until_it_is_revoked(tmp_path: Path) -> None:
    with serving(tmp_path, {"WEIGHBRIDGE_API_READING": "closed"}) as served:
        (line,) = [line for line in served.said if "hf_wb" in line]
        first = line.rpartition(" ")[2]
        for scheme in ("Bearer", "bearer"):
            assert served.get("/models", headers={"Authorization": f"{scheme} {first}"}).status_code == 200
        _, limited = create_key(served.catalog, "team-a", "reader", now=utc_now(), models=("team-a/*",))
        header = {"Authorization": f"Bearer {limited}"}
        assert served.get("/models/team-a/x", headers=header).status_code == 404
        assert served.get("/models/team-b/x", headers=header).status_code == 403
        served.catalog.keys.revoke("team-a")
        refused = served.get("/models/team-a/x", headers=header)
        assert (refused.status_code, "revoked" in refused.json()["detail"]) == (401, True)
        short = served.catalog.keys.listed()[-1]
        assert (short.name, short.role) == (FIRST_KEY, "admin")
        served.stop()
        assert first not in "".join(line for line in served.said if "first key" not in line)


def test_the_first_key_is_printed_once(tmp_path: Path) -> None:
    for times in (1, 0):
        with serving(tmp_path) as served:
            assert len([line for line in served.said if "hf_wb" in line]) == times
