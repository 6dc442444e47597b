"""Answers are kept until the catalog changes, for those alone whom they are for, and no longer than a key is valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.catalog.test_results import result, settle
from tests.services.weighbridge import Served, serving
from weighbridge.catalog import Catalog
from weighbridge.domain.version import Publication

pytestmark = pytest.mark.xdist_group("web")
NAME, OTHER = "kept/one", "kept/two"
ANSWERS = {
    "model": f"/models/{NAME}",
    "versions": f"/models/{NAME}/versions",
    "version": f"/models/{NAME}/versions/1.0.0",
    "list": "/models?search=kept/",
    "leaderboard": "/models/leaderboard?architecture=",
}
PUBLICATION = Publication("export", "/there/1", (), "/there")
#: Each change, made beside the server by another process, in this order, and the answers that it changes.
CHANGES: list[tuple[str, Callable[[Catalog], object], set[str]]] = [
    (
        "a tag is declared",
        lambda c: c.declarations.change(NAME, {"tags": ["a"]}),
        {"model", "versions", "version", "list"},
    ),
    ("what is new", lambda c: c.declarations.set_changelog(NAME, "1.0.0", "Tuned."), {"version"}),
    ("it is published", lambda c: c.places.add(NAME, "1.0.0", PUBLICATION), {"versions", "version"}),
    ("it is taken down", lambda c: c.places.remove(NAME, "1.0.0", "export", "/there"), {"versions", "version"}),
    ("it is measured", lambda c: c.add_result(result(c.versions(NAME)[0], 2.0)), {"leaderboard"}),
    ("it is withdrawn", lambda c: c.withdraw(NAME, "1.0.0", "recalled"), set(ANSWERS)),
    ("it is reinstated", lambda c: c.reinstate(NAME, "1.0.0"), set(ANSWERS)),
    ("there is another version", lambda c: settle(c, "1.1.0", "b", NAME), set(ANSWERS) - {"leaderboard"}),
    ("the default is fixed", lambda c: c.set_default(NAME, "1.0.0"), set(ANSWERS) - {"leaderboard"}),
    ("another model is there", lambda c: settle(c, "1.0.0", "c", OTHER), {"list"}),
    ("a key is made", lambda c: c.keys.add("kept", "hash", "reader", (), None), set()),
    ("it is removed", lambda c: c.remove(NAME, "1.1.0"), {"model", "versions", "list"}),
]


def tags(served: Served) -> dict[str, str]:
    """Return the entity tag of each answer, which changes with the answer."""
    return {name: served.get(path).raise_for_status().headers["etag"] for name, path in ANSWERS.items()}


def test_no_answer_is_older_than_the_newest_change(served: Served) -> None:
    settle(served.catalog, "1.0.0", "a", NAME)
    before = tags(served)
    for name, change, changed in CHANGES:
        assert tags(served) == before, f"before {name}"
        change(served.catalog)
        after = tags(served)
        assert {answer for answer in ANSWERS if after[answer] != before[answer]} == changed, name
        for answer in changed:
            asked = {"If-None-Match": before[answer]}
            assert served.get(ANSWERS[answer], headers=asked).status_code == 200, (name, answer)
        before = after
    served.catalog.remove(NAME, "1.0.0")
    assert served.get(ANSWERS["model"]).status_code == 404


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("closed"), {"WEIGHBRIDGE_API_READING": "closed"}) as found:
        for name in (NAME, OTHER):
            version = settle(found.catalog, "1.0.0", name, name)
            found.catalog.add_result(result(version, 1.0))
        yield found


def test_nobody_gets_an_answer_that_is_for_others(closed: Served) -> None:
    everything, one, two = (closed.key("reader", *models) for models in ((), (NAME,), ("kept/t*",)))
    for _ in range(2):
        for key, names in ((everything, [NAME, OTHER]), (one, [NAME]), (two, [OTHER])):
            listed = closed.get("/models", headers=key).json()["items"]
            assert [model["name"] for model in listed] == names
            ranked = closed.get("/models/leaderboard", headers=key).json()["items"]
            assert sorted(row["name"] for row in ranked) == names
            for path in ("", "/versions", "/versions/1.0.0"):
                for name in (NAME, OTHER):
                    response = closed.get(f"/models/{name}{path}", headers=key)
                    assert response.status_code == (200 if name in names else 403)
                assert closed.get(f"/models/{name}{path}").status_code == 401


def test_a_key_that_is_revoked_opens_nothing_at_the_very_next_request(closed: Served) -> None:
    for path in (f"/models/{NAME}", f"/models/{NAME}/versions/1.0.0", "/models", "/models/leaderboard"):
        key = closed.key("reader")
        (newest, *_) = closed.catalog.keys.listed()
        for _ in range(3):
            assert closed.get(path, headers=key).status_code == 200
        closed.catalog.keys.revoke(newest.name)
        for _ in range(2):
            assert closed.get(path, headers=key).status_code == 401
