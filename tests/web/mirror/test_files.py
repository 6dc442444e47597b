"""Files of the mirror: headers, conditions, ranges, damage, and a version that is withdrawn on the way."""

from __future__ import annotations

import re
import socket
import time

import httpx
import pytest

from tests.web.mirror.conftest import SMALL, Mirrored, digest_of
from weighbridge.web.mirror.ranges import ByteRange, read_ranges

pytestmark = pytest.mark.xdist_group("web")
BODY = bytes(range(256)) * 3000
PATH = "/files/ranges/resolve/main/model.bin"


@pytest.fixture(scope="module", autouse=True)
def _models(mirror: Mirrored) -> None:
    mirror.add("files/ranges", {"model.bin": BODY, "empty": b"", 'a "b"; größe.txt': b"x"})


def test_head_says_what_get_gives(mirror: Mirrored) -> None:
    head, get = mirror.head(PATH), mirror.get(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert get.content == BODY
    assert dict(head.headers) | {"date": ""} == dict(get.headers) | {"date": ""}
    assert head.headers["content-length"] == str(len(BODY))
    assert head.headers["etag"] == f'"{digest_of(BODY).hex}"'
    assert re.fullmatch("[0-9a-f]{40}", head.headers["x-repo-commit"])
    assert head.headers["accept-ranges"] == "bytes"
    assert not [name for name in head.headers if "xet" in name]
    assert "link" not in head.headers


def test_an_empty_file(mirror: Mirrored) -> None:
    get = mirror.get("/files/ranges/resolve/main/empty")
    assert (get.status_code, get.content, get.headers["content-length"]) == (200, b"", "0")


def test_the_name_in_the_content_disposition(mirror: Mirrored) -> None:
    found = mirror.head("/files/ranges/resolve/main/a%20%22b%22%3B%20gr%C3%B6%C3%9Fe.txt")
    assert found.headers["content-disposition"] == (
        "attachment; filename=\"a 'b'; gr_xf6_xdfe.txt\"; filename*=UTF-8''a%20%22b%22%3B%20gr%C3%B6%C3%9Fe.txt"
    )


@pytest.mark.parametrize(
    ("wanted", "content_range", "part"),
    [
        ("bytes=0-0", f"bytes 0-0/{len(BODY)}", BODY[:1]),
        ("bytes=5-9", f"bytes 5-9/{len(BODY)}", BODY[5:10]),
        ("bytes=300000-", f"bytes 300000-{len(BODY) - 1}/{len(BODY)}", BODY[300000:]),
        ("bytes=-7", f"bytes {len(BODY) - 7}-{len(BODY) - 1}/{len(BODY)}", BODY[-7:]),
        ("bytes=0-99999999", f"bytes 0-{len(BODY) - 1}/{len(BODY)}", BODY),
        ("bytes=-99999999", f"bytes 0-{len(BODY) - 1}/{len(BODY)}", BODY),
        ("Bytes=1-1", f"bytes 1-1/{len(BODY)}", BODY[1:2]),
    ],
)
def test_one_range(mirror: Mirrored, wanted: str, content_range: str, part: bytes) -> None:
    found = mirror.get(PATH, Range=wanted)
    assert (found.status_code, found.headers["content-range"], found.content) == (206, content_range, part)
    assert mirror.head(PATH, Range=wanted).headers["content-length"] == str(len(BODY))


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=9-5",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "items=0-1",
        "bytes=1",
        "0-1",
    ],
)
def test_what_is_no_range_gets_everything(mirror: Mirrored, wanted: str) -> None:
    found = mirror.get(PATH, Range=wanted)
    assert (found.status_code, len(found.content)) == (200, len(BODY))


def test_numbers_are_ascii() -> None:
    assert read_ranges("bytes=²-³", 10) is None
    assert read_ranges("bytes=2-3", 10) == [ByteRange(2, 4)]


def test_ranges_that_cost_more_than_the_file_get_everything(mirror: Mirrored) -> None:
    assert mirror.get(PATH, Range="bytes=" + ",".join(["0-"] * 2)).status_code == 200
    assert mirror.get(PATH, Range="bytes=" + ",".join(["0-0"] * 65)).status_code == 200


@pytest.mark.parametrize("wanted", [f"bytes={len(BODY)}-", "bytes=-0", f"bytes={len(BODY)}-{len(BODY) + 5}"])
def test_a_range_beyond_the_end(mirror: Mirrored, wanted: str) -> None:
    found = mirror.get(PATH, Range=wanted)
    assert (found.status_code, found.headers["content-range"]) == (416, f"bytes */{len(BODY)}")


@pytest.mark.parametrize("wanted", ["bytes=0-0", "bytes=0-", "bytes=-1", "bytes=0-1023"])
def test_an_empty_file_says_its_size_to_who_asks_for_its_first_byte(mirror: Mirrored, wanted: str) -> None:
    """@huggingface/hub, Rust's hf-hub and hf_transfer read `Content-Range` of a success; nginx answers 200, S3 416."""
    found = mirror.get("/files/ranges/resolve/main/empty", Range=wanted)
    assert (found.status_code, found.content, found.headers["content-range"]) == (200, b"", "bytes */0")
    assert "content-range" not in mirror.get("/files/ranges/resolve/main/empty").headers
    beyond = mirror.get("/files/ranges/resolve/main/empty", Range="bytes=5-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */0")


def test_several_ranges(mirror: Mirrored) -> None:
    found = mirror.get(PATH, Range="bytes=0-1, 400000-400002, -1")
    assert found.status_code == 206
    boundary = found.headers["content-type"].removeprefix("multipart/byteranges; boundary=")
    parts = found.content.split(f"\r\n--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    contents = [part.partition(b"\r\n\r\n") for part in parts[1:-1]]
    assert [body for _, _, body in contents] == [BODY[:2], BODY[400000:400003], BODY[-1:]]
    assert f"Content-Range: bytes 400000-400002/{len(BODY)}".encode() in contents[1][0]
    assert found.headers["content-length"] == str(len(found.content))


def test_conditions(mirror: Mirrored) -> None:
    etag = mirror.head(PATH).headers["etag"]
    for method in ("GET", "HEAD"):
        found = mirror.request(method, PATH, headers={"If-None-Match": f'"other", W/{etag}'})
        assert (found.status_code, found.content, found.headers["etag"]) == (304, b"", etag)
    assert mirror.get(PATH, If_None_Match='"other"').status_code == 200
    assert mirror.get(PATH, If_Range=etag, Range="bytes=0-1").status_code == 206
    for other in ('"other"', f"W/{etag}", "Sat, 28 Nov 2026 00:00:00 GMT"):
        assert mirror.get(PATH, If_Range=other, Range="bytes=0-1").status_code == 200


@pytest.mark.parametrize("word", ["blob", "raw"])
def test_views_are_downloads(mirror: Mirrored, word: str) -> None:
    assert mirror.get(f"/files/ranges/{word}/main/model.bin").content == BODY


def test_the_path_that_the_hub_redirects_to(mirror: Mirrored) -> None:
    commit = mirror.head(PATH).headers["x-repo-commit"]
    assert mirror.get(f"/api/resolve-cache/models/files/ranges/{commit}/model.bin?etag=x").content == BODY


@pytest.mark.parametrize("wanted", ["", "bytes=5-9"])
def test_a_damaged_file_does_not_arrive(mirror: Mirrored, wanted: str) -> None:
    content = f"damaged {wanted}".encode() * 100_000
    name = f"files/damaged{len(wanted)}"
    mirror.add(name, {"model.bin": content})
    path = mirror.store.path(digest_of(content))
    path.chmod(0o600)
    path.write_bytes(content[:-1] + b"!")
    url = f"{mirror.url}/{name}/resolve/main/model.bin"
    received: list[bytes] = []
    options = {"headers": {"Range": wanted} if wanted else {}}
    with mirror.served.client.stream("GET", url, **options) as response:
        if wanted:
            assert response.status_code == 500
        else:
            with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
                received.extend(response.iter_raw())
    assert len(b"".join(received)) < len(content)
    assert not mirror.store.has(digest_of(content)), "it is set aside, so that the next ingest fetches it anew"
    found = mirror.get(f"/{name}/resolve/main/model.bin")
    assert found.status_code == 500
    assert str(mirror.store.root) not in found.text


def test_a_withdrawal_ends_a_transfer(mirror: Mirrored) -> None:
    content = bytes(32 * 1024**2)
    mirror.add("files/large", {"model.bin": content})
    host, port = mirror.served.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(
            f"GET /huggingface/files/large/resolve/main/model.bin HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        )
        received = len(connection.recv(65536))
        mirror.served.catalog.withdraw("files/large", "1.0.0", "It is harmful.")
        time.sleep(1.2)
        while chunk := connection.recv(1 << 20):
            received += len(chunk)
    assert received < len(content), "the connection is closed before the end"
    assert mirror.get("/files/large/resolve/main/model.bin").headers["x-error-code"] == "RevisionNotFound"


def test_all_of_a_small_model(mirror: Mirrored) -> None:
    mirror.add("files/small")
    for path, body in SMALL.items():
        assert mirror.get(f"/files/small/resolve/main/{path}").content == body


def test_who_got_which_version_is_in_the_audit_log(mirror: Mirrored) -> None:
    version, audit = mirror.add("files/recipients"), mirror.served.catalog.audit
    path, key = "/files/recipients/resolve/main/config.json", mirror.served.key("reader")
    for method, headers in (("HEAD", {}), ("GET", {}), ("GET", {}), ("GET", key), ("GET", key)):
        assert mirror.request(method, path, headers=headers).status_code == 200
    rows = audit.rows(object_="files/recipients@1.0.0", action="version.served")
    assert [row.actor.partition(":")[0] for row in rows] == ["anonymous", "key"]
    assert [row.after for row in rows] == [{"manifest": str(version.manifest.digest), "address": "127.0.0.1"}] * 2
