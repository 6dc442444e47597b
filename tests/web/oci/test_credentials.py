"""Keys of OCI clients: challenges, tokens, passwords, signed addresses, and what a key is not for."""

from __future__ import annotations

import time
from base64 import b64encode
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.web.mirror.conftest import digest_of
from tests.web.oci.conftest import OciServed, Ollama, weights

pytestmark = pytest.mark.xdist_group("web")
BODY = weights(70)
BLOB = f"/credentials/model/blobs/sha256:{digest_of(BODY).hex}"
MANIFEST = "/credentials/model/manifests/latest"


@pytest.fixture(scope="module", autouse=True)
def _models(closed: OciServed) -> None:
    closed.mirror.add("credentials/model", {"m-Q4_0.gguf": BODY})
    closed.mirror.add("credentials/other", {"m-Q4_0.gguf": weights(71)})


def basic(key: dict[str, str], user: str = "anybody") -> dict[str, str]:
    text = key["Authorization"].removeprefix("Bearer ")
    return {"Authorization": f"Basic {b64encode(f'{user}:{text}'.encode()).decode()}"}


def test_login_as_docker_does(closed: OciServed) -> None:
    first = closed.get("/")
    assert first.status_code == 401
    assert first.json()["errors"][0]["code"] == "UNAUTHORIZED"
    host = urlsplit(closed.root).netloc
    assert first.headers["www-authenticate"] == f'Bearer realm="{closed.root}/v2/token",service="{host}"'
    scoped = closed.get(MANIFEST).headers["www-authenticate"]
    assert scoped.endswith(',scope="repository:credentials/model:pull"')
    key = closed.mirror.served.key("reader")
    given = closed.request("GET", f"/token?service={host}&account=anybody&offline_token=true", headers=basic(key))
    assert given.headers["cache-control"] == "no-store"
    token = given.json()["token"]
    assert given.json()["access_token"] == token
    for path in ("/", MANIFEST):
        assert closed.get(path, Authorization=f"Bearer {token}").status_code == 200


def test_a_form_and_a_password(closed: OciServed) -> None:
    key = closed.mirror.served.key("reader")
    text = key["Authorization"].removeprefix("Bearer ")
    for form in ({"grant_type": "password", "password": text}, {"grant_type": "refresh_token", "refresh_token": text}):
        given = closed.request("POST", "/token", data={"service": "x", "scope": "y", **form})
        assert given.json()["access_token"] == text
    assert closed.request("GET", MANIFEST, headers=basic(key)).status_code == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic", "Basic !", "Basic YTpi", "Basic /w==", "AAAA:BBBB", "Digest x"]
)
def test_what_is_no_key_is_refused(closed: OciServed, header: str) -> None:
    headers = {"Authorization": header, "X-Forwarded-For": f"192.0.2.{len(header)}"} if header else {}
    for path in ("/", "/token", MANIFEST, BLOB):
        found = closed.request("GET", path, headers=headers)
        assert (found.status_code, found.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
        assert "weighbridge token create" in found.json()["errors"][0]["message"]


def test_guesses_have_to_wait(closed: OciServed) -> None:
    headers = {"Authorization": "Bearer x", "X-Forwarded-For": "192.0.2.200"}
    found = [closed.request("GET", "/", headers=headers) for _ in range(21)][-1]
    assert (found.status_code, found.json()["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
    assert int(found.headers["retry-after"]) > 0


def test_a_key_for_other_models(closed: OciServed) -> None:
    key = closed.mirror.served.key("reader", "credentials/other")
    for path in (MANIFEST, BLOB, "/credentials/model/tags/list", "/Credentials/Model/manifests/latest"):
        found = closed.request("GET", path, headers=key)
        assert (found.status_code, found.json()["errors"][0]["code"]) == (403, "DENIED")
    assert closed.request("GET", "/_catalog", headers=key).json() == {"repositories": ["credentials/other"]}
    assert closed.request("GET", "/Credentials/Other/manifests/latest", headers=key).status_code == 200


def test_a_signed_address_is_for_one_blob_and_one_key(closed: OciServed) -> None:
    key = closed.mirror.served.key("reader")
    sent = closed.request("GET", BLOB, headers=key)
    assert (sent.status_code, sent.headers["cache-control"]) == (307, "no-store")
    location = sent.headers["location"]
    assert location.startswith(f"/v2{BLOB}?caller=")
    direct = httpx.get(f"{closed.root}{location}", trust_env=False)
    assert (direct.content, direct.headers["location"]) == (BODY, location)
    part = httpx.get(f"{closed.root}{location}", headers={"Range": "bytes=0-3"}, trust_env=False)
    assert (part.status_code, part.content) == (206, b"GGUF")
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    other = f"/credentials/other/blobs/sha256:{digest_of(weights(71)).hex}"
    signature = query["signature"]
    for path, changed in (
        (other, {}),
        (BLOB, {"expires": str(int(query["expires"]) + 1)}),
        (BLOB, {"caller": "first-admin"}),
        (BLOB, {"signature": signature[:-1] + ("0" if signature[-1] != "0" else "1")}),
        (BLOB, {"signature": "ü"}),
        (BLOB, {"expires": "x"}),
    ):
        found = closed.request("GET", path, params={**query, **changed})
        assert (found.status_code, found.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    closed.mirror.served.catalog.keys.revoke(query["caller"])
    assert httpx.get(f"{closed.root}{location}", trust_env=False).status_code == 401


def test_a_withdrawn_version_ends_its_signed_addresses(closed: OciServed) -> None:
    content = weights(72)
    closed.mirror.add("credentials/withdrawn", {"m.gguf": content})
    path = f"/credentials/withdrawn/blobs/sha256:{digest_of(content).hex}"
    location = closed.request("GET", path, headers=closed.mirror.served.key("reader")).headers["location"]
    closed.mirror.served.catalog.withdraw("credentials/withdrawn", "1.0.0", "It lies.")
    found = httpx.get(f"{closed.root}{location}", trust_env=False)
    assert (found.status_code, found.json()["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    assert "It lies." in found.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "no valid key here"),
        ({"url": "http://models.example/v2/token?ts={now}"}, "not right"),
        ({"url": "{root}/v2/token?ts={old}"}, "another time"),
        ({"url": "{root}/v2/token"}, "another time"),
        ({"header": "{key}:" + "A" * 86 + "=="}, "not right"),
        ({"host": "models.example"}, "not known to be this registry"),
        ({"host": "models.example", "url": "http://models.example/v2/token?ts={now}"}, "not known to be this registry"),
    ],
)
def test_a_signature_of_ollamas_is_for_this_registry_and_now(
    closed: OciServed, changed: dict[str, str], words: str
) -> None:
    own = Ed25519PrivateKey.generate()
    facts = {"root": closed.root, "now": int(time.time()), "old": int(time.time()) - 1000}
    url = changed.get("url", "{root}/v2/token?ts={now}").format(**facts)
    header = Ollama(closed.root, own).signature(url)
    header = changed.get("header", header).format(key=header.partition(":")[0])
    query = urlsplit(url).query if "models.example" not in url else f"ts={facts['now']}"
    headers = {"Authorization": header, "X-Forwarded-For": f"198.51.100.{len(str(changed)) % 250}"}
    if "host" in changed:
        headers["Host"] = changed["host"]
    found = closed.request("GET", f"/token?{query}", headers=headers)
    assert found.status_code in (401, 421)
    if found.status_code == 401:
        assert words in found.json()["errors"][0]["message"]


@pytest.mark.parametrize("token", [f"wbo_first-admin_99999999999_{'0' * 64}", f"wbo_x_1_{'0' * 64}"])
def test_a_token_that_was_not_made_here(closed: OciServed, token: str) -> None:
    assert closed.get("/", Authorization=f"Bearer {token}").status_code == 401
