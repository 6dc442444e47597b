"""The mirror over Xet, with the real hf_xet: the client takes it where it is offered, and only readers get bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from tests.services.weighbridge import serving
from tests.web.mirror.conftest import Mirrored, mirrored
from tests.web.mirror.test_hub_calls import large
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key

pytestmark = pytest.mark.xdist_group("web")

#: More than one xorb.
LARGE = bytes(range(251)) * 280_000
FILES = {"model.gguf": LARGE, "config.json": b"{}"}
_ABOVE = 1000
COMMIT = "f" * 40


@pytest.fixture(scope="module")
def xet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    folder = tmp_path_factory.mktemp("xet")
    config = folder / "mirror.yaml"
    config.write_text(f"backends:\n  - type: huggingface\n    config: {{prefix: /hub, xet_above: {_ABOVE}}}\n")
    closed = {"WEIGHBRIDGE_API_READING": "closed"}
    with serving(folder / "home", closed, "--config", str(config), verbose=True) as served:
        mirror = mirrored(served, folder / "home")
        mirror.url = mirror.url.replace("/huggingface", "/hub")
        mirror.add("xet/model", FILES, uri=f"hf:xet/model@{COMMIT}")
        yield mirror


def token(mirror: Mirrored) -> str:
    return mirror.served.key("reader")["Authorization"].removeprefix("Bearer ")


def test_the_client_fetches_over_xet(xet: Mirrored, tmp_path: Path) -> None:
    code = "from huggingface_hub import snapshot_download\nprint(snapshot_download('xet/model', revision='main'))\n"
    done = xet.python(code, tmp_path, HF_TOKEN=token(xet))
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.splitlines()[-1])
    assert {path.name: path.read_bytes() for path in found.iterdir()} == FILES
    lines = [json.loads(line[line.index("{") :]) for line in xet.served.said if '"sent"' in line]
    spans = [line["of"] for line in lines if line["path"] == "model.gguf"]
    assert spans, "the bytes came by xorbs"
    assert max(spans) < 64 * 1024**2
    assert sum(line["sent"] for line in lines if line["path"] == "model.gguf") < len(LARGE) * 1.01


def test_small_files_are_not_offered(xet: Mirrored) -> None:
    key = {"Authorization": f"Bearer {token(xet)}"}
    large = xet.request("HEAD", "/xet/model/resolve/main/model.gguf", headers=key).headers
    assert large["x-xet-hash"] == large["etag"].strip('"')
    assert large["link"] == f'<{xet.url}/api/models/xet/model/xet-read-token/{COMMIT}>; rel="xet-auth"'
    small = xet.request("HEAD", "/xet/model/resolve/main/config.json", headers=key).headers
    assert not {"x-xet-hash", "link"} & set(small)


def addresses(xet: Mirrored, key: str) -> list[str]:
    """Return the addresses of the xorbs, as a client gets them."""
    given = xet.request(
        "GET", f"/api/models/xet/model/xet-read-token/{COMMIT}", headers={"Authorization": f"Bearer {key}"}
    )
    place, access = given.headers["x-xet-cas-url"], given.headers["x-xet-access-token"]
    sha256 = xet.served.catalog.get("xet/model", "1.0.0").manifest.by_path["model.gguf"].digest.hex  # type: ignore[union-attr]
    found = xet.served.client.get(f"{place}/v2/reconstructions/{sha256}", headers={"Authorization": f"Bearer {access}"})
    return [one[0]["url"] for one in found.json()["xorbs"].values()]


def test_the_address_of_a_part_is_sealed(xet: Mirrored) -> None:
    first, second = addresses(xet, token(xet))
    ask = xet.served.client.get
    assert ask(first, headers={"Range": "bytes=0-15"}).status_code == 206
    assert ask(first.partition("?")[0]).status_code == 401
    assert ask(first.replace("/0?", "/1?")).status_code == 401
    assert ask(first.replace("seal=", "seal=0")).status_code == 401
    assert ask(first.replace("until=", "until=9")).status_code == 401
    assert ask(second, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_a_revoked_key_and_a_withdrawn_version_end_it(xet: Mirrored) -> None:
    _, key = create_key(xet.served.catalog, "leaver", "reader", now=utc_now())
    first = addresses(xet, key)[0]
    other = addresses(xet, token(xet))[0]
    xet.served.catalog.keys.revoke("leaver")
    assert xet.served.client.get(first).status_code == 401
    xet.served.catalog.withdraw("xet/model", "1.0.0", "It has a back door.")
    response = xet.served.client.get(other)
    assert (response.status_code, response.headers["x-error-code"]) == (404, "RevisionNotFound")
    xet.served.catalog.reinstate("xet/model", "1.0.0")


def test_the_end_of_a_file_above_50_gb_is_one_chunk(xet: Mirrored) -> None:
    """The client fetches such a file in no other way (huggingface_hub#3868, padeoe/hf-mirror-site#60)."""
    size = 51 * 1000**3
    large(xet, "xet/large", size)
    key = {"Authorization": f"Bearer {token(xet)}"}
    head = xet.request("HEAD", "/xet/large/resolve/main/model.gguf", headers=key).headers
    assert "install hf_xet for model.gguf" in head["x-hf-warning"]
    place = f"/api/models/xet/large/xet/{head['x-repo-commit']}/v2/reconstructions/{head['x-xet-hash']}"
    found = xet.request("GET", place, headers={**key, "Range": f"bytes={size - 10}-"}).json()
    assert [one["unpacked_length"] for one in found["terms"]] == [size % (128 * 1024)]
    assert found["offset_into_first_range"] == size % (128 * 1024) - 10


def test_other_keys_get_nothing(xet: Mirrored, tmp_path: Path) -> None:
    key = xet.served.key("reader", "other/*")["Authorization"].removeprefix("Bearer ")
    with pytest.raises(HfHubHTTPError):
        hf_hub_download("xet/model", "model.gguf", endpoint=xet.url, token=key, cache_dir=tmp_path)
    refused = xet.request(
        "GET", f"/api/models/xet/model/xet-read-token/{COMMIT}", headers={"Authorization": f"Bearer {key}"}
    )
    assert refused.status_code == 403


def test_a_mirror_that_does_not_offer_it_has_no_token(mirror: Mirrored) -> None:
    mirror.add("xet/other", uri=f"hf:xet/other@{COMMIT}")
    for path in (f"xet-read-token/{COMMIT}", f"xet/{COMMIT}/v1/reconstructions/{'a' * 64}", f"xet/{COMMIT}/xorbs/x"):
        assert mirror.get(f"/api/models/xet/other/{path}").status_code == 404
