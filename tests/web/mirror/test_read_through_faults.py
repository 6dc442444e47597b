"""The mode `read-through` when branches move, and when a Hub is away or faulty."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.services.clamd import eicar
from tests.simulators.hub import Hub
from tests.web.mirror.test_read_through import Through, files, handing_on
from tests.web.mirror.test_upstream_faults import HTML

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Through]:
    more = "      max_age: 0.5\n      timeout: 0.3\n"
    with Hub() as hub, handing_on(tmp_path_factory.mktemp("faults"), hub, more=more) as found:
        yield found


def commit_of(through: Through, name: str, revision: str = "main") -> str:
    return through.head(f"/{name}/resolve/{revision}/config.json").headers["x-repo-commit"]


def test_a_branch_that_moved_is_handed_on_anew(through: Through) -> None:
    repository, worse = (through.hub.add(f"org/{name}", files(name)) for name in ("moving", "worse"))
    first, before_worse = repository.branches["main"], worse.branches["main"]
    for name in ("org/moving", "org/worse"):
        assert through.get(f"/{name}/resolve/main/config.json").status_code == 200
    for name in ("org/moving", "org/worse"):
        through.until_weighed(name)
    bad = worse.commit({**files("worse"), "run.bin": eicar()})
    repository.branches["dev"] = first
    assert commit_of(through, "org/moving") == commit_of(through, "org/moving", "dev") == first
    second = repository.commit({**files("moving"), "more.json": b"{}"})
    time.sleep(0.6)
    assert through.get("/org/worse/resolve/main/run.bin").content == eicar()
    found = through.get("/org/moving/resolve/main/more.json")
    assert (found.content, found.headers["x-repo-commit"]) == (b"{}", second)
    assert "not been weighed yet" in found.headers["x-hf-warning"]
    assert int(found.headers["age"]) < 5
    assert through.get("/api/models/org/moving/refs").json()["branches"][0]["targetCommit"] == second
    assert commit_of(through, "org/moving", "dev") == commit_of(through, "org/moving", first) == first
    before = len(through.hub.requests)
    for _ in range(3):
        assert commit_of(through, "org/moving", second) == second
    assert len(through.hub.requests) == before, "no Hub is asked for a commit that is known"
    _passed_stays(through, before_worse, bad)


def _passed_stays(through: Through, first: str, bad: str) -> None:
    """A newer commit that did not pass leaves what passed."""
    deadline = time.monotonic() + 60
    while len(through.mirror.served.catalog.lists.versions("org/worse")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert commit_of(through, "org/worse") == first
    refused = through.get(f"/org/worse/resolve/{bad}/config.json")
    assert (refused.status_code, refused.headers["x-error-code"]) == (404, "RevisionNotFound")


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_there_is_handed_on_while_the_hub_is_away(through: Through, status: int) -> None:
    name = f"org/away-{status}"
    through.hub.add(name, files(name))
    path = f"/{name}/resolve/main/config.json"
    assert "warning" not in through.get(path).headers
    through.hub.fault(f"/api/models/{name}/revision/main", status=status)
    time.sleep(0.6)
    found = through.get(path)
    assert found.status_code == 200
    assert found.headers["warning"].startswith("110 weighbridge")
    assert "111 weighbridge" in found.headers["warning"]
    assert any("this is how the Hub had it" in text for text in found.headers.get_list("x-hf-warning"))


def _requests_for(through: Through, name: str) -> int:
    """Return how often the Hub was asked for a model; others may still be fetched."""
    return sum(f"/org/{name}" in request.path for request in through.hub.requests)


@pytest.mark.parametrize(
    ("name", "path", "fault", "status", "words"),
    [
        ("html", "/api", HTML, 404, "cannot be read"),
        ("page", "/model.bin", HTML, 404, "no longer the file"),
        ("loop", "/model.bin", {"status": 302, "headers": {"Location": "model.bin"}}, 404, "redirects more than"),
        ("private", "/model.bin", {"status": 302, "headers": {"Location": "http://10.255.0.1/"}}, 404, "not a public"),
        ("length", "/model.bin", {"length": 9}, 404, "no longer the file"),
        ("silent", "/api", {"hang_after": -1}, 429, "could not be reached"),
        ("limited", "/api", {"status": 429, "headers": {"Retry-After": "120"}}, 429, "could not be reached"),
    ],
)
def test_faults(through: Through, name: str, path: str, fault: dict[str, object], status: int, words: str) -> None:
    commit = through.hub.add(f"org/{name}", files(name)).branches["main"]
    api, of_file = f"/api/models/org/{name}", f"/org/{name}/resolve/{commit}{path}"
    through.hub.fault(api if path == "/api" else of_file, **fault)
    deadline = time.monotonic() + 30
    while True:
        found = through.get(f"/org/{name}/resolve/main/model.bin")
        if "being fetched" not in found.headers.get("x-error-message", ""):
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (found.status_code, words in found.headers["x-error-message"]) == (status, True), found.headers
    if status == 429:
        assert 1 <= int(found.headers["retry-after"]) <= 60
    asked = _requests_for(through, name)
    through.get(f"/org/{name}/resolve/main/model.bin")
    assert _requests_for(through, name) == asked, "what failed is not tried again at once"
