"""A bundle that was opened: what it has, who signed it, and whether that key is trusted here.

Every command that looks at a bundle opens it here, so that none shows what another one would refuse. Not here: taking
its versions in (intake.unbundling).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO

from weighbridge.config.bundle_keys import is_valid, trusted_name
from weighbridge.config.settings import Settings
from weighbridge.content.bundles.documents import read_version
from weighbridge.content.bundles.reading import BundleReader
from weighbridge.domain.bundle import BundledVersion
from weighbridge.domain.report import scanned_with
from weighbridge.errors import IntegrityError, UsageError

#: The name of a bundle that is read from the standard input, such as one that comes in parts.
STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Signer:
    """The installation that signed a bundle.

    Attributes:
        key: its public key; empty for a bundle that is not signed.
        name: the name of that key in the settings; empty where it is not trusted here.
    """

    key: str = ""
    name: str = ""


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle of which index, signature and documents were read; its blobs are still to come.

    Attributes:
        reader: at the first blob.
        signer: the installation that signed it.
        versions: what it has.
    """

    reader: BundleReader
    signer: Signer
    versions: tuple[BundledVersion, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        index = self.reader.index
        return {
            "bundle": str(index.digest),
            "signed_by": self.signer.key or None,
            "trusted_as": self.signer.name or None,
            "versions": [
                {
                    "name": one.name,
                    "version": one.number,
                    "manifest_digest": str(one.manifest.digest),
                    "source": one.manifest.ref.uri,
                    "files": len(one.manifest.files),
                    "size": one.manifest.size,
                    "licence": one.licence,
                    "policy": one.decision.policy,
                    "decided_at": one.decided_at,
                    "scanned_with": scanned_with(one.reports),
                }
                for one in self.versions
            ],
            "content_size": index.size,
        }


@contextmanager
def opened_bundle(path: str, settings: Settings) -> Iterator[OpenedBundle]:
    """Open a bundle, and read all but its blobs; `-` is the standard input.

    Raises:
        UsageError: there is no such file, it is no bundle, or one of another format.
        IntegrityError: it is damaged, contradicts itself, or its signature is not one of it.
    """
    name = path if path != STANDARD_INPUT else "from standard input"
    with _file(path) as file:
        reader = BundleReader(file, name)
        signer = _signer(reader, name, settings)
        versions = tuple(read_version(reader.read(), name) for _ in reader.index.documents)
        _require_agreement(reader, versions, name)
        yield OpenedBundle(reader, signer, versions)


def _file(path: str) -> AbstractContextManager[BinaryIO]:
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return open(path, "rb", buffering=1024**2)
    except OSError as error:
        raise UsageError(
            f"The bundle {path} cannot be opened: {error.strerror}.", "Name a file that this user may read.", path=path
        ) from error


def _signer(reader: BundleReader, path: str, settings: Settings) -> Signer:
    if reader.signature is None:
        return Signer()
    if not is_valid(reader.signature, reader.index.signed):
        raise IntegrityError(
            f"The signature of the bundle {path} is not one of what is in it.",
            "Nothing was imported. The bundle was changed, or its signature belongs to another one: ask for it again.",
            bundle=path,
            key=reader.signature.key,
        )
    return Signer(reader.signature.key, trusted_name(reader.signature, settings.trusted_bundle_keys))


def _require_agreement(reader: BundleReader, versions: tuple[BundledVersion, ...], path: str) -> None:
    """Refuse a bundle whose index and versions name other versions, or other blobs."""
    index = reader.index
    needed = {(entry.digest, entry.size) for one in versions for entry in one.manifest.files}
    blobs = {(blob.digest, blob.size) for blob in index.blobs}
    named = tuple((one.name, one.number) for one in versions)
    why = "the files of its versions are not those that it has" if needed != blobs else ""
    why = "its index names other versions than it has" if named != index.versions else why
    if why:
        raise IntegrityError(
            f"The bundle {path} contradicts itself: {why}.",
            "Nothing was imported. Ask the side that made the bundle for another one.",
            bundle=path,
        )
