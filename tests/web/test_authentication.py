"""Who may ask for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.weighbridge import Served, serving

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


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "Bearer hf_wbx", "Bearer \xff", "x" * 9000])
def test_what_is_no_key_is_refused_also_where_reading_is_open(served: Served, header: str) -> None:
    assert served.get("/models").status_code == 200
    response = served.get("/models", headers={"Authorization": header.encode("latin-1")})
    assert response.status_code == 401
