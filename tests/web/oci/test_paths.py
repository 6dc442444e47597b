"""What paths below `/v2` ask for, however a client writes them, and that no trick gets anything else."""

from __future__ import annotations

import pytest

from tests.web.mirror.conftest import digest_of
from tests.web.oci.conftest import OciServed, weights
from weighbridge.config.settings import Settings
from weighbridge.errors import InvalidConfiguration, InvalidName, InvalidReference
from weighbridge.web.oci.paths import OciPath, read_path

pytestmark = pytest.mark.xdist_group("web")
DIGEST = digest_of(b"x")
SHA = DIGEST.hex


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", OciPath("base")),
        ("/", OciPath("base")),
        ("/token", OciPath("token")),
        ("/_catalog", OciPath("catalog")),
        ("/org/name/tags/list", OciPath("tags", "org/name")),
        ("/name/manifests/latest", OciPath("manifest", "name", "latest")),
        ("/a/b/c/manifests/v1.2.0", OciPath("manifest", "a/b/c", "v1.2.0")),
        ("/Org/Name-GGUF/manifests/Q4_K_M", OciPath("manifest", "Org/Name-GGUF", "Q4_K_M")),
        (f"/org/name/manifests/sha256:{SHA}", OciPath("manifest", "org/name", digest=DIGEST)),
        (f"/org/name/blobs/sha256:{SHA}", OciPath("blob", "org/name", digest=DIGEST)),
        (f"/org/name/blobs/sha256%3A{SHA}", OciPath("blob", "org/name", digest=DIGEST)),
        (f"/org/n%61me/blobs/sha256:{SHA}", OciPath("blob", "org/name", digest=DIGEST)),
        ("/tags/list/tags/list", OciPath("tags", "tags/list")),
        ("/manifests/manifests/manifests", OciPath("manifest", "manifests", "manifests")),
        ("/blobs/manifests/blobs/manifests/x", OciPath("manifest", "blobs/manifests/blobs", "x")),
        ("/_catalog/", OciPath("unknown")),
        (f"/org/name/referrers/sha256:{SHA}", OciPath("unknown")),
        ("/org/name", OciPath("unknown")),
        ("/org/name/manifests", OciPath("unknown")),
        ("/org/name/blobs/uploads/", OciPath("unknown")),
    ],
)
def test_a_path_asks_for(raw: str, expected: OciPath) -> None:
    assert read_path(raw.encode()) == expected


@pytest.mark.parametrize(
    "name",
    [
        *(
            "..",
            ".",
            "a/../b",
            "a/%2e%2e/b",
            "a/%2E%2e%2Fb",
            "a%2Fb",
            "a//b",
            "/a",
            "a/",
            "a%00",
            "a%0d%0aX:1",
            "a%5Cb",
        ),
        *("a\\b", "%c0%ae%c0%ae", "%ff", "a:b", "a b", "a%20b", "-a", ".a", "größe", "gr%C3%B6%C3%9Fe", "a*"),
        *("%252e", "a" * 300, "a@b", "a%3Fb", "a%23b", "~a", "a/%", "a/%g"),
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    for end in (f"blobs/sha256:{SHA}", "manifests/latest", "tags/list"):
        with pytest.raises(InvalidName):
            read_path(f"/{name}/{end}".encode())


@pytest.mark.parametrize(
    "digest",
    [
        *(f"sha256:{SHA[:-1]}", f"sha256:{SHA}0", f"sha256:{SHA.upper()}", f"SHA256:{SHA}", f"sha256:{SHA}%00"),
        *(f"sha256::{SHA}", f"sha512:{SHA * 2}", f"md5:{SHA[:32]}", f"sha256:%2e%2e%2f{SHA}", "sha256:", ":"),
        *(f"sha256:{SHA[:62]}%2F.", f"sha256:{SHA[:-1]}²", f"sha256:{SHA}\n"),
    ],
)
def test_what_is_no_digest_is_refused(digest: str) -> None:
    for word in ("blobs", "manifests"):
        with pytest.raises(InvalidReference):
            read_path(f"/org/name/{word}/{digest}".encode())
    for other in (SHA, "latest", "..", "%2e%2e%2fcatalog.db"):
        with pytest.raises(InvalidReference):
            read_path(f"/org/name/blobs/{other}".encode())


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/paths/one/blobs/%2e%2e%2f%2e%2e%2fcatalog.db", 400, "DIGEST_INVALID"),
        ("/paths/one/blobs/..%2fcatalog.db", 400, "DIGEST_INVALID"),
        ("/paths%2Fone/manifests/latest", 400, "NAME_INVALID"),
        ("/paths/%2e%2e/paths/one/manifests/latest", 400, "NAME_INVALID"),
        ("/paths/one/manifests/%2e%2e", 404, "MANIFEST_UNKNOWN"),
        ("/paths/one/manifests/latest%00", 404, "MANIFEST_UNKNOWN"),
        ("/paths/one/manifests/%FF", 404, "MANIFEST_UNKNOWN"),
        (f"/paths/one/manifests/{'a' * 4000}", 404, "MANIFEST_UNKNOWN"),
        ("/paths/none/manifests/latest", 404, "NAME_UNKNOWN"),
        (f"/paths/one/blobs/sha256:{SHA}", 404, "BLOB_UNKNOWN"),
        (f"/paths/one/manifests/sha256:{SHA}", 404, "MANIFEST_UNKNOWN"),
        ("/paths/one/tags/list?n=x", 400, "UNSUPPORTED"),
        ("/paths/one/tags/list?n=-1", 400, "UNSUPPORTED"),
        ("/paths/one", 404, "UNSUPPORTED"),
    ],
)
def test_a_trick_gets_nothing(oci: OciServed, path: str, status: int, code: str) -> None:
    oci.mirror.add("paths/one", {"m-Q4_0.gguf": weights(40)})
    found = oci.get(path)
    assert (found.status_code, found.json()["errors"][0]["code"]) == (status, code)


def test_a_blob_of_another_model_is_not_this_ones(oci: OciServed) -> None:
    oci.mirror.add("paths/mine", {"m.gguf": weights(41)})
    oci.mirror.add("paths/other", {"m.gguf": weights(42)})
    oci.mirror.add("paths/refused", {"m.gguf": weights(43), "same": weights(41)}, verdict="FAILED")
    own = f"sha256:{digest_of(weights(41)).hex}"
    assert oci.get(f"/paths/mine/blobs/{own}").content == weights(41)
    assert oci.get(f"/paths/other/blobs/{own}").json()["errors"][0]["code"] == "BLOB_UNKNOWN"
    assert oci.get(f"/paths/refused/blobs/{own}").json()["errors"][0]["code"] == "DENIED"
    catalog = f"sha256:{digest_of((oci.mirror.store.root.parent / 'catalog.db').read_bytes()).hex}"
    assert oci.get(f"/paths/mine/blobs/{catalog}").status_code == 404


def test_other_paths_are_the_registrys(oci: OciServed) -> None:
    client = oci.mirror.served.client
    for path in ("/v2x/", "/v22", "/%762/", "/v1/", "/v2.json"):
        assert client.get(f"{oci.root}{path}").headers["content-type"] == "application/problem+json"
    for path in ("/v2", "/v2/"):
        found = client.get(f"{oci.root}{path}")
        assert (found.status_code, found.json()) == (200, {})
        assert found.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize("prefixes", [{"api_prefix": "/v2"}, {"api_prefix": "/v2/x"}, {"mirror_prefix": "/v2"}])
def test_no_other_part_is_at_its_path(prefixes: dict[str, str]) -> None:
    with pytest.raises(InvalidConfiguration, match="clients of OCI registries"):
        Settings(**prefixes)
    assert Settings(api_prefix="/v2x", mirror_prefix="/v2.hub")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_read_only(oci: OciServed, method: str) -> None:
    for path in ("/", "/a/b/manifests/latest", "/a/b/blobs/uploads/", f"/a/b/blobs/sha256:{SHA}"):
        found = oci.request(method, path)
        assert (found.status_code, found.json()["errors"][0]["code"]) == (405, "UNSUPPORTED")
