"""An OCI registry, read only: manifests and blobs by digest, over the API of the distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. Not here: the content of a manifest
(oci.manifest), and credentials (oci.access).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from weighbridge.domain.digest import Digest
from weighbridge.errors import AccessDenied, ModelNotFound, SourceMisbehaved
from weighbridge.net.auth import Auth
from weighbridge.net.oci.access import RegistryAccess
from weighbridge.net.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, MAX_MANIFEST
from weighbridge.net.responses import shown
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import FetchedDocument, Transfer, same_origin

#: A registry that has a model in both types of manifest has that of Ollama in Docker's.
_ACCEPT = ", ".join((MANIFEST_TYPES[0], *(f"{kind};q=0.9" for kind in (*MANIFEST_TYPES[1:], *INDEX_TYPES))))
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class StoredManifest:
    """A manifest's bytes as the registry has them, their sha256, and the type in the response."""

    content: bytes
    digest: Digest
    media_type: str


class OciRegistry:
    """One registry; safe for several threads.

    Args:
        url: its base URL, the part before `/v2/`.
        transfer: sends the requests.
        auth: our credentials.
    """

    def __init__(self, url: str, transfer: Transfer, auth: Auth) -> None:
        self.url = url
        self._transfer, self._auth = transfer, auth
        self._access = RegistryAccess(url, transfer, auth)

    def greet(self) -> str:
        """Ask whether the registry is one, with our credentials where there are some.

        Returns:
            What the answer says of them, a few words or nothing.

        Raises:
            AccessDenied: it refuses the credentials.
            SourceUnavailable, SourceMisbehaved: as `Transfer.read`.
        """

        def ask(authorization: str) -> FetchedDocument:
            url = f"{self.url}/v2/"
            return self._transfer.read(url, accept="*/*", authorization=authorization, max_size=MAX_MANIFEST)

        try:
            if self._auth:
                self._allowed("", ask)
                return "the credentials are valid"
            ask("")
        except AccessDenied as error:
            if self._auth or not self._is_challenge(error):
                raise
            return "without credentials, which it asks for"
        except ModelNotFound:  # Ollama's own has manifests and blobs only.
            pass
        return ""

    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """Fetch a manifest by tag or digest; its bytes are checked against every known digest of them.

        Raises:
            ModelNotFound: there is none.
            SourceMisbehaved: the bytes do not match the requested digest, or the one that the response names.
            AccessDenied, SourceUnavailable: as `Transfer.read`.
        """
        document = self._manifest(repository, reference)
        digest = Digest.sha256(document.content)
        named = document.headers.get("docker-content-digest", "").strip().lower()
        asked = reference if reference.startswith("sha256:") else ""
        for expected in (asked, named if named.startswith("sha256:") else ""):
            if expected and expected != str(digest):
                raise SourceMisbehaved(
                    f"{shown(self.url)} sends a manifest of {repository} that is not the one with the digest "
                    f"{expected[:80]}.",
                    "The registry or a proxy in front of it is broken, or a third party changes models in transit.",
                    expected=expected[:80],
                    actual=str(digest),
                )
        return StoredManifest(document.content, digest, document.content_type)

    def _manifest(self, repository: str, reference: str) -> FetchedDocument:
        paths = [f"manifests/{reference}"]
        if reference.startswith("sha256:"):
            paths.append(f"blobs/{reference}")  # some registries serve untagged manifests only as blobs
        for path in paths[:-1]:
            try:
                return self._read(repository, path, MAX_MANIFEST, _ACCEPT)
            except ModelNotFound:
                continue
        return self._read(repository, paths[-1], MAX_MANIFEST, _ACCEPT)

    def small_blob(self, repository: str, digest: Digest, size: int) -> bytes:
        """Fetch a whole blob and verify it.

        Raises:
            SourceMisbehaved: its bytes do not match the digest.
            ModelNotFound, AccessDenied, SourceUnavailable: as `Transfer.read`.
        """
        content = self._read(repository, f"blobs/{digest}", max(size, 1)).content if size else b""
        if len(content) != size or Digest.sha256(content) != digest:
            raise SourceMisbehaved(
                f"{shown(self.url)} sends other bytes than those of {digest} in {repository}.",
                "The registry or a proxy in front of it is broken, or a third party changes models in transit.",
                expected=str(digest),
            )
        return content

    @contextmanager
    def blob(self, repository: str, digest: Digest, offset: int = 0, size: int | None = None) -> Iterator[ByteStream]:
        """Open a blob from `offset`; the bytes are not verified here.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.stream`.
        """
        url = self._address(repository, f"blobs/{digest}")
        with ExitStack() as stack:

            def enter(authorization: str) -> ByteStream:
                stream = self._transfer.stream(url, offset=offset, size=size, authorization=authorization)
                return stack.enter_context(stream)

            yield self._allowed(repository, enter)

    def _read(self, repository: str, path: str, max_size: int, accept: str = "*/*") -> FetchedDocument:
        url = self._address(repository, path)

        def read(authorization: str) -> FetchedDocument:
            return self._transfer.read(url, accept=accept, authorization=authorization, max_size=max_size)

        return self._allowed(repository, read)

    def _address(self, repository: str, path: str) -> str:
        return f"{self.url}/v2/{repository}/{path}"

    def _allowed(self, repository: str, ask: Callable[[str], _Result]) -> _Result:
        """Send a request with the known header, and once more with the answer to the registry's challenge."""
        header = self._access.header(repository)
        try:
            return ask(header)
        except AccessDenied as error:
            if not self._is_challenge(error):
                raise
            header = self._access.answer(repository, error.facts["challenge"], header)
            if not header:
                raise self._denied(repository, error) from error
        try:
            return ask(header)
        except AccessDenied as error:
            if not self._is_challenge(error):
                raise
            raise self._denied(repository, error) from error

    def _is_challenge(self, error: AccessDenied) -> bool:
        """Return whether the registry itself asks for credentials, not the target of a redirect."""
        facts = error.facts
        return bool(facts.get("http_status") == 401 and facts.get("challenge") and same_origin(facts["url"], self.url))

    def _denied(self, repository: str, error: AccessDenied) -> AccessDenied:
        what = f"access to {repository}, or has no such model" if repository else "these credentials"
        return AccessDenied(
            f"{shown(self.url)} refuses {what}.",
            "Check the name. For a private one name user and password (user:password in --token-env or --token-file, "
            "or auth: in models.yaml). The keys that `ollama signin` makes are not used here.",
            **{key: value for key, value in error.facts.items() if key != "challenge"},
        )
