"""The mirror's answers: documents, parts of trees, errors, who may ask, and what it is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.weighbridge import serving
from tests.web.mirror.conftest import Mirrored, mirrored
from weighbridge.catalog import JobOrder
from weighbridge.config.settings import Settings
from weighbridge.errors import InvalidConfiguration

pytestmark = pytest.mark.xdist_group("web")
MANY = dict.fromkeys((f"part/{number:04}.bin" for number in range(1500)), b"the same")


@pytest.fixture(scope="module", autouse=True)
def _models(mirror: Mirrored) -> None:
    mirror.add("application/one")
    mirror.add("application/many", MANY)


def test_a_tree_in_parts(mirror: Mirrored) -> None:
    found = mirror.get("/api/models/application/many/tree/main?recursive=True&expand=1")
    assert len(found.json()) == 1000
    link = found.links["next"]["url"]
    assert link.startswith(f"{mirror.url}/api/models/application/many/tree/main?recursive=True&expand=1&cursor=")
    rest = mirror.served.client.get(link)
    assert "next" not in rest.links
    paths = [one["path"] for one in (*found.json(), *rest.json())]
    assert paths == ["part", *sorted(MANY)]
    assert "lastCommit" in rest.json()[0]
    assert len(mirror.get("/api/models/application/many/tree/main?recursive=false").json()) == 1


def test_a_link_names_the_host_that_was_asked(mirror: Mirrored) -> None:
    found = mirror.get("/api/models/application/many/tree/main?recursive=1&limit=3", Host="localhost:1234")
    assert found.links["next"]["url"].startswith("http://localhost:1234/huggingface/api/")
    assert len(found.json()) == 3


def test_the_siblings_are_whole(mirror: Mirrored) -> None:
    info = mirror.get("/api/models/application/many/revision/main").json()
    assert [one["rfilename"] for one in info["siblings"]] == sorted(MANY)


@pytest.mark.parametrize(
    "body", [{"json": {"paths": ["sub", "config.json"]}}, {"data": {"paths": ["sub", "config.json"]}}]
)
def test_paths_info_as_json_and_as_a_form(mirror: Mirrored, body: dict[str, object]) -> None:
    found = mirror.request("POST", "/api/models/application/one/paths-info/main", **body)
    assert [one["type"] for one in found.json()] == ["directory", "file"]


@pytest.mark.parametrize("content", [b"[]", b'{"paths": 1}', b'{"paths": [1]}', b"{", b"[" * 100_000])
def test_a_body_that_names_no_paths(mirror: Mirrored, content: bytes) -> None:
    path, headers = "/api/models/application/one/paths-info/main", {"content-type": "application/json"}
    assert mirror.request("POST", path, content=content, headers=headers).status_code == 400


def test_one_oid_for_a_file_everywhere(mirror: Mirrored) -> None:
    tree = {one["path"]: one for one in mirror.get("/api/models/application/one/tree/main?recursive=1").json()}
    info = mirror.get("/api/models/application/one?blobs=true").json()
    for one in info["siblings"]:
        entry, path = tree[one["rfilename"]], one["rfilename"]
        assert (one["blobId"], one["lfs"]["sha256"], one["size"]) == (entry["oid"], entry["lfs"]["oid"], entry["size"])
        etag = mirror.head(f"/application/one/resolve/main/{path}").headers["etag"]
        assert etag == f'"{entry["lfs"]["oid"]}"'
    assert len(tree["empty.txt"]["oid"]) == 40


def test_what_is_not_served(mirror: Mirrored) -> None:
    for path in ("commits/main", "discussions", "xet-read-token/main", "treesize/main"):
        found = mirror.get(f"/api/models/application/one/{path}")
        assert (found.status_code, found.headers.get("x-error-code")) == (404, None)
    assert mirror.head("/api/telemetry/transformers").status_code == 204
    for method in ("PUT", "DELETE", "POST", "PATCH", "OPTIONS"):
        found = mirror.request(method, "/api/models/application/one")
        assert (found.status_code, found.headers["allow"]) == (405, "GET, HEAD")


def test_a_file_that_is_absent_names_the_commit(mirror: Mirrored) -> None:
    for path in ("/application/one/resolve/main/absent", "/api/models/application/one/tree/main/absent"):
        found = mirror.get(path)
        assert (found.status_code, found.headers["x-error-code"]) == (404, "EntryNotFound")
        assert len(found.headers["x-repo-commit"]) == 40
    found = mirror.get("/application/one/resolve/other/absent")
    assert (found.headers["x-error-code"], "x-repo-commit" in found.headers) == ("RevisionNotFound", False)


def test_what_is_being_weighed(mirror: Mirrored) -> None:
    mirror.served.catalog.jobs.add(JobOrder("ingest", "application/soon", {"uri": "mock:x"}, "key:a"))
    for path in ("/application/soon/resolve/main/config.json", "/api/models/application/soon/revision/main"):
        found = mirror.get(path)
        assert (found.status_code, found.headers["retry-after"] in ("2", "5")) == (429, True), "it may have begun"
        assert "is being weighed" in found.headers["x-error-message"]


def test_list_and_search(mirror: Mirrored) -> None:
    mirror.add("application/refused", verdict="FAILED")
    found = mirror.get("/api/models?search=application/&limit=1")
    ids = [one["id"] for one in found.json()]
    while "next" in found.links:
        found = mirror.served.client.get(found.links["next"]["url"])
        ids += [one["id"] for one in found.json()]
    assert ids == ["application/many", "application/one"]
    assert mirror.get("/api/datasets?search=application/").json() == []
    assert [one["id"] for one in mirror.get("/api/models?author=application&sort=lastModified").json()]
    assert mirror.get("/api/models?cursor=x").status_code == 400


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """Serve a catalog that needs keys, behind a proxy of this machine."""
    home = tmp_path_factory.mktemp("closed")
    environment = {"WEIGHBRIDGE_API_READING": "closed", "WEIGHBRIDGE_SERVE_PROXIES": "127.0.0.1"}
    with serving(home, environment) as served:
        found = mirrored(served, home)
        found.add("closed/one")
        yield found


def test_who_may(closed: Mirrored) -> None:
    path, elsewhere = "/api/models/closed/one", {"X-Forwarded-For": "192.0.2.1"}
    refused = closed.get(path)
    assert (refused.status_code, refused.headers["x-error-code"]) == (401, "GatedRepo")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert "weighbridge token create" in refused.json()["error"]
    hubs = closed.request("GET", path, headers={"Authorization": "Bearer hf_abcdefghijklmnopqrstuvwxyz", **elsewhere})
    assert hubs.status_code == 401
    assert closed.request("GET", path, headers=closed.served.key("reader")).status_code == 200
    other = closed.request("GET", path, headers=closed.served.key("reader", "other/*"))
    assert (other.status_code, other.headers["x-error-code"]) == (403, "GatedRepo")
    listed = closed.request("GET", "/api/models", headers=closed.served.key("reader", "other/*"))
    assert listed.json() == []


def test_who_am_i(closed: Mirrored) -> None:
    found = closed.request("GET", "/api/whoami-v2", headers=closed.served.key("publisher")).json()
    assert found["name"].startswith("publisher-")
    assert found["auth"]["accessToken"] == {"displayName": found["name"], "role": "write"}
    assert closed.get("/api/whoami-v2").status_code == 401


def test_the_scheme_that_a_proxy_was_asked_with(closed: Mirrored) -> None:
    closed.add("closed/many", MANY)
    headers = {**closed.served.key("reader"), "X-Forwarded-Proto": "https", "Host": "127.0.0.1"}
    found = closed.request("GET", "/api/models/closed/many/tree/main?recursive=1", headers=headers)
    assert found.links["next"]["url"].startswith("https://127.0.0.1/huggingface/api/models/")


def test_a_token_of_the_hub_is_nobody_where_reading_is_open(mirror: Mirrored) -> None:
    path = "/api/models/application/one"
    assert mirror.get(path, Authorization="Bearer hf_abcdefghijklmnopqrstuvwxyzABCDEFGH").status_code == 200
    assert mirror.get(path, Authorization="Bearer hf_wbMistyped").status_code == 401


def test_another_host_is_refused(mirror: Mirrored) -> None:
    assert mirror.get("/api/models/application/one", Host="evil.example.com").status_code == 421


@pytest.mark.parametrize("prefix", ["/api", "/api/huggingface", "", "huggingface", "/a b"])
def test_a_path_that_the_mirror_cannot_have(prefix: str) -> None:
    with pytest.raises(InvalidConfiguration, match="WEIGHBRIDGE_MIRROR_PREFIX"):
        Settings(mirror_prefix=prefix)
