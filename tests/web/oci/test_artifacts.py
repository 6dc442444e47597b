"""What oras, skopeo, crane and others get: files with their paths, lists, and answers to what their headers ask for."""

from __future__ import annotations

import json

import pytest

from tests.web.mirror.conftest import SMALL, digest_of
from tests.web.oci.conftest import OCI, OLLAMA, OciServed, weights
from weighbridge.domain.decision import Reason

pytestmark = pytest.mark.xdist_group("web")
#: What each client names: containerd, oras and skopeo, crane.
CONTAINERD = f"{OLLAMA}, application/vnd.docker.distribution.manifest.list.v2+json, {OCI}, */*"
FILES = {
    **SMALL,
    "README.md": b"# Read me",
    "LICENSE": b"MIT",
    "model.safetensors": b"weights",
    "modeling_own.py": b"import torch",
    ".gitattributes": b"",
}


@pytest.fixture(scope="module", autouse=True)
def _models(oci: OciServed) -> None:
    oci.mirror.add("Artifacts/Files", FILES)
    gguf = {f"m-{quantisation}.gguf": weights(number) for number, quantisation in enumerate(("Q4_K_M", "Q8_0"), 60)}
    oci.mirror.add("artifacts/gguf", {**gguf, "README.md": b"x"})
    oci.mirror.add("artifacts/gguf", {"m-Q8_0.gguf": weights(62)}, number="1.1.0")


@pytest.mark.parametrize("accept", [OCI, CONTAINERD, f"{OCI}, {OLLAMA}", "*/*", "", f"{OLLAMA};q=0.5, {OCI}"])
def test_every_file_with_its_path(oci: OciServed, accept: str) -> None:
    found = oci.get("/artifacts/files/manifests/latest", Accept=accept)
    manifest = found.json()
    assert found.headers["content-type"] == manifest["mediaType"] == OCI
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    layers = {one["annotations"]["org.opencontainers.image.title"]: one for one in manifest["layers"]}
    assert layers.keys() == FILES.keys()
    for path, one in layers.items():
        blob = oci.get(f"/artifacts/files/blobs/{one['digest']}")
        assert (blob.content, one["size"]) == (FILES[path], len(FILES[path]))
        assert one["annotations"]["org.cncf.model.filepath"] == path
    kinds = {path: one["mediaType"].removeprefix("application/vnd.cncf.model.") for path, one in layers.items()}
    assert kinds["model.safetensors"] == "weight.v1.raw"
    assert kinds["config.json"] == kinds[".gitattributes"] == "weight.config.v1.raw"
    assert kinds["README.md"] == kinds["LICENSE"] == "doc.v1.raw"
    assert kinds["modeling_own.py"] == "code.v1.raw"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([OLLAMA], OLLAMA),
        ([OLLAMA, OCI], OCI),  # docker manifest inspect sends a line for each type.
        ([f"{OLLAMA}, {OCI};q=0.9"], OLLAMA),
        ([f"{OCI};q=0, {OLLAMA}"], OLLAMA),
        ([f"{OLLAMA};q=x, {OCI};q=0.1"], OCI),
        (["application/vnd.oci.image.index.v1+json"], OCI),
        ([OLLAMA.upper()], OLLAMA),
        ([";;,q=,=,"], OCI),
    ],
)
def test_accept_decides(oci: OciServed, lines: list[str], expected: str) -> None:
    headers = [("Accept", line) for line in lines]
    found = oci.request("GET", "/artifacts/gguf/manifests/latest", headers=headers)
    assert found.headers["content-type"] == found.json()["mediaType"] == expected


def test_the_configuration(oci: OciServed) -> None:
    manifest = oci.get("/artifacts/gguf/manifests/1.0.0-q8_0").json()
    config = oci.get(f"/artifacts/gguf/blobs/{manifest['config']['digest']}")
    assert config.json() == {
        "descriptor": {"name": "artifacts/gguf", "version": "1.0.0"},
        "modelfs": {"type": "layers", "diffIds": [one["digest"] for one in manifest["layers"]]},
        "config": {"format": "gguf", "quantization": "Q8_0"},
    }
    assert manifest["config"]["size"] == len(config.content)


@pytest.mark.parametrize(
    ("tag", "files"),
    [
        ("latest", ["m-Q8_0.gguf"]),
        ("1.0.0", ["README.md", "m-Q4_K_M.gguf"]),
        ("1.0.0-Q8_0", ["README.md", "m-Q8_0.gguf"]),
        ("1.0.0-files", ["README.md", "m-Q4_K_M.gguf", "m-Q8_0.gguf"]),
        ("files", ["m-Q8_0.gguf"]),
    ],
)
def test_of_several_models_in_gguf_one(oci: OciServed, tag: str, files: list[str]) -> None:
    manifest = oci.get(f"/artifacts/gguf/manifests/{tag}").json()
    assert [one["annotations"]["org.opencontainers.image.title"] for one in manifest["layers"]] == files


def test_an_older_version_by_digest(oci: OciServed) -> None:
    old = oci.get("/artifacts/gguf/manifests/1.0.0", Accept=OLLAMA)
    digest = old.headers["docker-content-digest"]
    assert oci.get(f"/artifacts/gguf/manifests/{digest}").content == old.content
    for one in (*old.json()["layers"], old.json()["config"]):
        assert oci.head(f"/artifacts/gguf/blobs/{one['digest']}").headers["content-length"] == str(one["size"])


def test_tags_in_parts(oci: OciServed) -> None:
    expected = ["1.0.0", "1.1.0", "1.1.0-Q8_0", "1.1.0-files", "Q8_0", "files", "latest"]
    assert oci.get("/artifacts/gguf/tags/list").json() == {"name": "artifacts/gguf", "tags": expected}
    for tag in expected:
        assert oci.head(f"/artifacts/gguf/manifests/{tag}").status_code == 200
    found, seen = oci.get("/artifacts/gguf/tags/list?n=3"), []
    while True:
        seen += found.json()["tags"]
        if "next" not in found.links:
            break
        found = oci.get(found.links["next"]["url"].removeprefix("/v2"))
    assert seen == expected
    assert oci.get("/artifacts/gguf/tags/list?n=0").json()["tags"] == []
    assert oci.get("/artifacts/gguf/tags/list?last=Q8_0&n=9").json()["tags"] == ["files", "latest"]


def test_repositories_are_those_that_passed(oci: OciServed) -> None:
    oci.mirror.add("artifacts/refused", verdict="FAILED")
    oci.mirror.add("artifacts/sign:7b")
    names = [one for one in oci.get("/_catalog").json()["repositories"] if one.lower().startswith("artifacts/")]
    assert {"Artifacts/Files", "artifacts/gguf", "artifacts/sign-7b"} <= set(names)
    assert "artifacts/refused" not in names
    found, seen = oci.get("/_catalog?n=1"), []
    while True:
        seen += found.json()["repositories"]
        if "next" not in found.links:
            break
        found = oci.get(found.links["next"]["url"].removeprefix("/v2"))
    assert seen == oci.get("/_catalog").json()["repositories"]
    after = oci.get("/_catalog?n=1&last=artifacts%2Fsign-7b").json()["repositories"]
    assert after != ["artifacts/sign-7b"], "a client that names the last entry itself goes on"
    assert oci.get("/_catalog?n=0").json() == {"repositories": []}


def test_ranges_of_a_blob(oci: OciServed) -> None:
    content = SMALL["sub/größe ½.bin"]
    path = f"/artifacts/files/blobs/sha256:{digest_of(content).hex}"
    head = oci.head(path)
    assert (head.headers["content-length"], head.headers["accept-ranges"]) == (str(len(content)), "bytes")
    part = oci.get(path, Range="bytes=7-13")
    assert (part.status_code, part.content) == (206, b"weights")
    assert part.headers["content-range"] == f"bytes 7-13/{len(content)}"
    assert oci.get(path, Range=f"bytes={len(content)}-").status_code == 416
    assert oci.get(path, If_None_Match=head.headers["etag"]).status_code == 304
    assert oci.get(path).headers["location"] == f"/v2{path}"
    config = oci.get("/artifacts/files/manifests/latest").json()["config"]
    made = oci.get(f"/artifacts/files/blobs/{config['digest']}", Range="bytes=0-0")
    assert (made.status_code, made.content) == (206, b"{")


def test_a_waiver_is_told(oci: OciServed) -> None:
    reason = Reason("waive", "pickles.code", 'It runs "code".', "x.bin")
    oci.mirror.add("artifacts/waived", reasons=(reason,))
    warning = oci.get("/artifacts/waived/manifests/latest").headers["warning"]
    assert warning == '299 - "artifacts/waived 1.0.0: x.bin: It runs \\"code\\"."'


def test_who_got_files_is_in_the_audit_log(oci: OciServed) -> None:
    oci.mirror.add("artifacts/recipients")
    audit = oci.mirror.served.catalog.audit
    rows = {"object_": "artifacts/recipients@1.0.0", "action": "version.served"}
    digest = digest_of(SMALL["config.json"])
    assert oci.get("/artifacts/recipients/manifests/latest").status_code == 200
    assert oci.head(f"/artifacts/recipients/blobs/sha256:{digest.hex}").status_code == 200
    assert audit.rows(**rows) == []
    assert oci.get(f"/artifacts/recipients/blobs/sha256:{digest.hex}").status_code == 200
    assert [row.actor for row in audit.rows(**rows)] == ["anonymous"]


def test_thousands_of_files(oci: OciServed) -> None:
    files = {f"part/{number:04}.json": str(number % 3).encode() for number in range(1500)}
    oci.mirror.add("artifacts/many", files)
    manifest = oci.get("/artifacts/many/manifests/latest")
    assert len(manifest.content) < 4 * 1024**2
    layers = json.loads(manifest.content)["layers"]
    assert len(layers) == 1500
    assert oci.get(f"/artifacts/many/blobs/{layers[-1]['digest']}").content == b"2"
