"""A digest: an algorithm and its value; and the hasher that computes several of them in one pass.

Not here: what a digest is compared with (domain.manifest), and where the bytes are stored (store.local).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from weighbridge.errors import InvalidConfiguration

#: Hex digits per algorithm. `git-sha1` is git's blob id: sha1 over a `blob <size>\0` header and the content.
ALGORITHMS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha1": 40, "git-sha1": 40, "md5": 32}
_HEX = re.compile("[0-9a-f]*")


@dataclass(frozen=True, order=True, slots=True)
class Digest:
    """An algorithm of `ALGORITHMS` and its value in lowercase hex; prints as `sha256:…`.

    Raises:
        InvalidConfiguration: the algorithm is unknown or the value does not fit it.
    """

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        length = ALGORITHMS.get(self.algorithm)
        if length is None:
            known = ", ".join(sorted(ALGORITHMS))
            raise InvalidConfiguration(f"“{self.algorithm}” is not a digest algorithm.", f"Known ones: {known}.")
        if len(self.hex) != length or not _HEX.fullmatch(self.hex):
            raise InvalidConfiguration(f"“{self.hex}” is not a {self.algorithm}.", f"Write {length} hex digits.")

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def sha256(cls, content: bytes) -> Digest:
        """Return the sha256 of bytes in memory."""
        return cls("sha256", hashlib.sha256(content).hexdigest())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<hex>`, SRI (`sha256-<base64>`, https://www.w3.org/TR/SRI/) or 64 bare hex digits."""
        text = text.strip()
        if len(text) == ALGORITHMS["sha256"] and ":" not in text and "-" not in text:
            return cls("sha256", text.lower())
        if ":" in text:
            algorithm, _, value = text.partition(":")
            return cls(algorithm, value.lower())
        algorithm, _, value = text.partition("-")
        try:
            return cls(algorithm, base64.b64decode(value, validate=True).hex())
        except binascii.Error as error:
            raise InvalidConfiguration(
                f"“{text}” is not a digest.", "Write sha256:<64 hex digits> or the SRI form sha256-<base64>."
            ) from error

    @property
    def sri(self) -> str:
        """The Subresource Integrity form, `sha256-<base64>`."""
        return f"{self.algorithm}-{base64.b64encode(bytes.fromhex(self.hex)).decode()}"


class Hasher:
    """Hashes a stream with sha256 and, in the same pass, with further algorithms.

    Args:
        extra: further algorithms to compute.
        size: the stream's whole length in bytes; needed by git-sha1, whose header holds it.
    """

    def __init__(self, extra: tuple[str, ...] = (), size: int | None = None) -> None:
        self._hashes: dict[str, Any] = {}
        for algorithm in ("sha256", *extra):
            if algorithm == "git-sha1":
                if size is None:
                    continue
                self._hashes[algorithm] = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
            else:
                self._hashes[algorithm] = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Add the next bytes of the stream."""
        for hash_ in self._hashes.values():
            hash_.update(chunk)

    def sha256(self, further: bytes = b"") -> bytes:
        """Return the sha256 of everything added so far, followed by `further`, which is not added."""
        hash_ = self._hashes["sha256"]
        if further:
            hash_ = hash_.copy()
            hash_.update(further)
        value: bytes = hash_.digest()
        return value

    @property
    def digests(self) -> dict[str, Digest]:
        """The digests of everything added so far, by algorithm."""
        return {name: Digest(name, hash_.hexdigest()) for name, hash_ in self._hashes.items()}
