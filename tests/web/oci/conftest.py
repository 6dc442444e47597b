"""The served OCI registry for all of its tests, and Ollama's own way to pull from it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.content.headers.samples import gguf, llama, tensor
from tests.services.weighbridge import serving
from tests.web.mirror.conftest import Mirrored, mirrored

OLLAMA = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
#: As Ollama asks for parts of a blob; its own have 100 MB at least.
_PART = 1000
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def weights(number: int, **said: Any) -> bytes:
    """Return a GGUF, with bytes of its own."""
    data = bytes([number]) * 4 * 32
    return gguf(llama(**said), [tensor("output.weight", [32], 0, 0)], data)


@dataclass(frozen=True)
class Pulled:
    """What Ollama has after a pull.

    Attributes:
        manifest: as it is stored.
        blobs: by digest.
    """

    manifest: dict[str, Any]
    blobs: Mapping[str, bytes]

    def layer(self, kind: str) -> bytes:
        """Return the one layer of a kind."""
        found = [one for one in self.manifest["layers"] if one["mediaType"] == f"application/vnd.ollama.image.{kind}"]
        assert len(found) == 1, self.manifest["layers"]
        return self.blobs[found[0]["digest"]]

    @property
    def kinds(self) -> list[str]:
        return [one["mediaType"].rpartition(".")[2] for one in self.manifest["layers"]]

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.blobs[self.manifest["config"]["digest"]])


class Ollama:
    """Pulls as Ollama does (server/images.go, auth.go, download.go): its requests in their order, with its headers.

    Args:
        root: address of the registry, without `/v2`.
        key: its own key, by which it signs for a token after a challenge; None for one that cannot.
    """

    def __init__(self, root: str, key: Ed25519PrivateKey | None = None) -> None:
        self._root, self._key, self._token = root, key, ""
        self.requests: list[httpx.Request] = []

    def pull(self, name: str, tag: str = "latest") -> Pulled:
        """Pull a model. Raises AssertionError with what it would print."""
        found = self._ask("GET", f"/v2/{name}/manifests/{tag}", {"Accept": OLLAMA})
        manifest = found.json()
        blobs = {}
        for layer in (*manifest["layers"], manifest["config"]):
            digest = layer["digest"]
            content = self._blob(f"/v2/{name}/blobs/{digest}")
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest, "digest mismatch, file must be downloaded"
            blobs[digest] = content
        return Pulled(manifest, blobs)

    def _blob(self, path: str) -> bytes:
        size = int(self._ask("HEAD", path).headers["content-length"])
        direct = self._direct(path)
        parts = []
        for start in range(0, size, _PART):
            stop = min(size, start + _PART)
            # No token, no agent's name: the default client of Go asks.
            part = self._send("GET", direct, {"Range": f"bytes={start}-{stop - 1}"}).content
            assert len(part) >= stop - start, "unexpected EOF"
            parts.append(part[: stop - start])
        return b"".join(parts)

    def _direct(self, path: str) -> str:
        """Return the address of the parts, which has to be named by the last answer, even by one with bytes."""
        url = f"{self._root}{path}"
        for _ in range(10):
            with _client() as client, client.stream("GET", url, headers=self._named()) as found:
                assert found.status_code in (200, 307), f"unexpected status code {found.status_code}"
                assert "location" in found.headers, "http: no Location header in response"
                location = str(found.url.join(found.headers["location"]))
                if found.status_code == 200:
                    return location
                url = location
        raise AssertionError("too many redirects")

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        found = self._send(method, f"{self._root}{path}", {**self._named(), **(headers or {})})
        if found.status_code == 401 and self._key is not None:
            self._token = self.sign_in(found.headers["www-authenticate"])
            found = self._send(method, f"{self._root}{path}", {**self._named(), **(headers or {})})
        assert found.status_code != 404, "pull model manifest: file does not exist"
        assert found.status_code < 400, f"pull model manifest: {found.status_code}: {found.text}"
        return found

    def sign_in(self, challenge: str) -> str:
        """Return the token that the registry gives for a signature."""
        assert self._key is not None
        parts = dict(re.findall('([a-z]+)="([^"]*)"', challenge))
        assert urlsplit(parts["realm"]).netloc == urlsplit(self._root).netloc, "realm host does not match original host"
        query = {
            "service": parts["service"],
            "scope": parts.get("scope", ""),
            "ts": int(time.time()),
            "nonce": "bm9uY2U",
        }
        url = f"{parts['realm']}?{urlencode(sorted(query.items()))}"
        found = self._send("GET", url, {**self._named(), "Authorization": self.signature(url)})
        assert found.status_code < 400, f"{found.status_code}: {found.text}"
        return found.json()["token"]

    def signature(self, url: str) -> str:
        """Return the header by which it signs for an address."""
        assert self._key is not None
        public = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
        body = b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()
        return f"{public.decode()}:{b64encode(self._key.sign(f'GET,{url},{body}'.encode())).decode()}"

    def _named(self) -> dict[str, str]:
        named = {"User-Agent": "ollama/0.18.2 (amd64 linux) Go/go1.24.1"}
        return named | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> httpx.Response:
        with _client() as client:
            found = client.request(method, url, headers=headers)
        self.requests.append(found.request)
        return found


def _client() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=60)


@dataclass
class OciServed:
    """A served registry with its `/v2`.

    Attributes:
        mirror: the same one, to which models are added.
        root: its address.
    """

    mirror: Mirrored
    root: str

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.mirror.served.client.request(method, f"{self.root}/v2{path}", **options)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def head(self, path: str, **headers: str) -> httpx.Response:
        return self.request("HEAD", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def ollama(self, key: Ed25519PrivateKey | None = None) -> Ollama:
        return Ollama(self.root, key)


def oci_served(mirror: Mirrored) -> OciServed:
    return OciServed(mirror, mirror.url.removesuffix("/huggingface"))


@pytest.fixture(scope="session")
def oci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciServed]:
    """Serve a catalog that anybody on this machine may read."""
    home = tmp_path_factory.mktemp("oci")
    with serving(home) as served:
        yield oci_served(mirrored(served, home))


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciServed]:
    """Serve a catalog that needs keys, behind a proxy of this machine."""
    home = tmp_path_factory.mktemp("closed-oci")
    with serving(home, {"WEIGHBRIDGE_API_READING": "closed", "WEIGHBRIDGE_SERVE_PROXIES": "127.0.0.1"}) as served:
        yield oci_served(mirrored(served, home))
