"""The lines of docs/api.md do what the page says."""

from __future__ import annotations

import argparse
import json
import re
import shlex

import httpx
import pytest

from tests.catalog.test_results import result, settle
from tests.hub_entries import fill
from tests.services.weighbridge import Served
from tests.test_documents import ROOT, blocks
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.config.settings import Settings
from weighbridge.web.app import create_api

pytestmark = pytest.mark.xdist_group("web")
LINES = [line for text in blocks(ROOT / "docs/api.md") for line in text.splitlines() if line.startswith("curl ")]


@pytest.fixture(scope="module")
def known(served: Served) -> Served:
    """Serve the models that the page names."""
    for name in ("smollm2-135m-instruct", "org/name"):
        for number in ("1.0.0", "1.1.0"):
            version = settle(served.catalog, number, f"page {number}", name)
            served.catalog.add_result(result(version))
    with HubCatalog.open(f"sqlite:///{served.home}/catalog.db") as hub:
        fill(hub)
    return served


def _starts_work(line: str) -> bool:
    """Whether a line asks for work that reaches the network, or names what is not there; it is sent without a key."""
    if "/license/" in line:
        return False
    return "-X POST" in line or "/ingests/" in line or "/webhooks/0123" in line or "purge=true" in line


def curl(line: str, served: Served) -> httpx.Response:
    """Send what a line of curl would send."""
    key = served.key("admin")["Authorization"].removeprefix("Bearer ")
    parser = argparse.ArgumentParser()
    parser.add_argument("curl")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-X", default="")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d", default=None)
    parser.add_argument("url")
    words = [word.replace("$API", served.url).replace("$KEY", key) for word in shlex.split(line)]
    found = parser.parse_args(words)
    headers = dict(header.split(": ", 1) for header in found.H)
    if _starts_work(line):  # A wrong key would count as a failure, of which an address has few.
        headers.pop("Authorization", None)
    if found.d is not None:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    method = found.X or ("POST" if found.d is not None else "GET")
    return served.client.request(method, found.url, headers=headers, content=found.d)


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_page(known: Served, line: str) -> None:
    response = curl(line, known)
    assert response.status_code in ((401, 404) if _starts_work(line) else (200, 201)), response.text
    assert json.loads(response.text)


def test_the_page_has_a_line_for_every_operation() -> None:
    for path, operations in create_api(Settings()).openapi()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^ ]+", re.escape(path.replace("/api", "$API", 1)))
        for method in operations:
            option = "" if method == "get" else f"-X {method.upper()} "
            assert any(re.match(rf'curl {option}(-\w .*)?"?{pattern}(["? ]|$)', line) for line in LINES), path
