"""Bundling: packs versions that passed, with all that is known of them, into one file for a place without a network.

Not here: how the file is written (content.bundles), and taking one in (intake.unbundling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from semver import Version

from weighbridge.config.bundle_keys import own_key
from weighbridge.content.bundles.layout import blob_path, document_path
from weighbridge.content.bundles.writing import document_of, write_bundle
from weighbridge.domain.acknowledgements import is_needed
from weighbridge.domain.bundle import BundledVersion, BundleIndex, BundleMember, canonical
from weighbridge.domain.declarations import stated_licence
from weighbridge.domain.digest import Digest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import StateConflict
from weighbridge.intake.lookup import find
from weighbridge.intake.workspace import Workspace


@dataclass(frozen=True)
class BundleRequest:
    """The versions to pack, and the file; plain values.

    Attributes:
        names: `NAME` for the default version, or `NAME@VERSION`.
        target: the file to write.
    """

    names: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written.

    Attributes:
        path: the file.
        index: what it has.
        key: the public key that it was signed with; empty where it was not.
        size: bytes of the file.
    """

    path: Path
    index: BundleIndex
    key: str
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "path": str(self.path),
            "bundle": str(self.index.digest),
            "size": self.size,
            "signed_by": self.key or None,
            "versions": [{"name": name, "version": number} for name, number in self.index.versions],
            "blobs": len(self.index.blobs),
            "content_size": sum(blob.size for blob in self.index.blobs),
        }


def bundle(request: BundleRequest, workspace: Workspace) -> Bundled:
    """Pack versions into a file, which appears whole or not at all, and sign it where this installation has a key.

    1. Each version passed, is not withdrawn, and has its bytes.
    2. What is known of each is a document: files, card, decision, reports, results, what was declared.
    3. The audit log names each version that is packed, before it leaves.
    4. Each blob is written once, however many versions have it, and hashed on its way.

    Raises:
        UsageError: there is no such version.
        StateConflict: a version did not pass, or its bytes were removed.
        BlobMissing, IntegrityError: a blob is missing or damaged.
        InvalidConfiguration: the key cannot be used.
        StoreError: the file cannot be written.
    """
    key = own_key(workspace.settings)
    versions = _ordered([find(workspace.catalog, name) for name in request.names])
    for version in versions:
        _refuse_unfit(version)
    documents = [canonical(_described(version, workspace).to_json()) for version in versions]
    index = _index(versions, documents)
    for blob in index.blobs:
        workspace.store.has(blob.digest)  # No collection deletes it from now on; a missing one is an error below.
    for version in versions:
        workspace.catalog.bundles.note_packed(version.name, version.version, index.digest)
    signature = key.sign(index.signed) if key is not None else None
    progress, target = workspace.progress, Path(request.target).absolute()
    progress.expect("bundle", sum(blob.size for blob in index.blobs))
    size = write_bundle(target, index, signature, documents, workspace.store, partial(progress.advance, "bundle"))
    return Bundled(target, index, key.text if key is not None else "", size)


def _ordered(found: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Return versions, each once, in the order in which they have to be taken in."""
    each = {(version.name, version.version): version for version in found}
    return [each[key] for key in sorted(each, key=lambda key: (key[0], Version.parse(key[1])))]


def _refuse_unfit(version: ModelVersion) -> None:
    which = f"{version.name}@{version.version}"
    if version.status != "PASSED":
        raise StateConflict(
            f"{which} is {version.status}, so it is not packed: a bundle has only what passed and is not withdrawn.",
            f"`weighbridge show {which}` says why. Leave it out.",
            name=version.name,
            version=version.version,
        )
    if version.purged:
        raise StateConflict(f"The bytes of {which} were removed.", "Take the model in again.", name=version.name)


def _described(version: ModelVersion, workspace: Workspace) -> BundledVersion:
    catalog, name, number = workspace.catalog, version.name, version.version
    declaration = catalog.declarations.of(name)
    stated = stated_licence(version.card, declaration)
    model = catalog.lists.model(name)
    settled = catalog.audit.last(f"{name}@{number}", "version.settled")
    return BundledVersion(
        name=name,
        number=number,
        manifest=replace(version.manifest, gated=model is not None and bool(model.gated)),
        card=version.card,
        decision=version.decision,
        decided_at=settled.at.isoformat(timespec="seconds") if settled is not None else "",
        reports=version.reports,
        results=tuple(catalog.results([version.manifest.digest], samples=True)),
        declared=declaration.content if declaration else {},
        declared_by=declaration.by if declaration else "",
        changelog=catalog.declarations.changelog(name, number),
        licence=stated.expression,
        acknowledge=is_needed(stated, workspace.operators_policy().acknowledge),
    )


def _index(versions: Sequence[ModelVersion], documents: Sequence[bytes]) -> BundleIndex:
    sizes: dict[Digest, int] = {}
    for entry in (entry for version in versions for entry in version.manifest.files):
        assert entry.digest is not None, "a computed manifest has the digest of every file"
        assert entry.size is not None, "and its size"
        sizes[entry.digest] = entry.size
    return BundleIndex(
        versions=tuple((version.name, version.version) for version in versions),
        documents=tuple(document_of(document_path(at), one) for at, one in enumerate(documents, start=1)),
        blobs=tuple(BundleMember(blob_path(digest), sizes[digest], digest) for digest in sorted(sizes)),
    )
