"""Bundles made for tests: good ones by the writer, and hostile ones put together block by block."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backports import zstd

from weighbridge.content.bundles.layout import END, INDEX, SIGNATURE, blob_path, document_path, header, padding
from weighbridge.content.bundles.reading import BundleReader
from weighbridge.content.bundles.writing import document_of, signature_content, write_bundle
from weighbridge.domain.bundle import BundledVersion, BundleIndex, BundleMember, Signature, canonical
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.store.local import LocalBlobStore

FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": bytes(range(256)) * 5000, "empty.txt": b""}
#: A file of a tar: its header and its content.
Part = tuple[bytes, bytes]


def version(name: str = "org/name", number: str = "1.0.0", files: Mapping[str, bytes] = FILES) -> BundledVersion:
    """Return a version of these files, with a report on each."""
    entries = tuple(FileEntry(path, len(content), Digest.sha256(content)) for path, content in files.items())
    manifest = Manifest(ModelRef.parse(f"hf:{name}@{'a' * 40}?files=*"), entries)
    reports = tuple(
        ScanReport(Digest.sha256(content), "clamav", "1.4", "rules", "text", "completed", len(content), len(content))
        for content in files.values()
    )
    finding = Finding("template.odd", "warning", "It is odd: \u202e.", "at 7")
    reports = (replace(reports[0], findings=(finding,), engine=(("database", "official"),)), *reports[1:])
    reason = Reason("warn", "template.odd", "It is odd.", "config.json", reports[0].id)
    return BundledVersion(
        name=name,
        number=number,
        manifest=manifest,
        card=ModelCard({"architecture": Field("llama", "config.json"), "tags": Field(["a"], "README.md")}),
        decision=Decision("PASSED", "standard", "f" * 64, (reason,), tuple(sorted(one.id for one in reports))),
        decided_at="2026-11-28T12:00:00+00:00",
        reports=reports,
        declared={"parameter_count": 7, "tags": ["größe ½"]},
        declared_by="key:ada",
        changelog="Tuned.",
        licence="MIT",
    )


def documents(*versions: BundledVersion) -> list[bytes]:
    return [canonical(one.to_json()) for one in versions]


def index_of(versions: Iterable[BundledVersion], contents: Iterable[bytes]) -> BundleIndex:
    versions = tuple(versions)
    sizes = {entry.digest: entry.size for one in versions for entry in one.manifest.files}
    return BundleIndex(
        tuple((one.name, one.number) for one in versions),
        tuple(document_of(document_path(at), content) for at, content in enumerate(contents, start=1)),
        tuple(BundleMember(blob_path(one), sizes[one] or 0, one) for one in sorted(sizes) if one is not None),
    )


def packed(path: Path, store: LocalBlobStore, *versions: BundledVersion, signature: Signature | None = None) -> Path:
    """Write a bundle of versions of `FILES`, as the writer does."""
    for content in FILES.values():
        store.put([content])
    contents = documents(*versions)
    write_bundle(path, index_of(versions, contents), signature, contents, store)
    return path


def parts(*versions: BundledVersion, files: Mapping[str, bytes] = FILES) -> list[Part]:
    """Return the files of a good bundle, to be changed."""
    contents = documents(*versions)
    index = index_of(versions, contents)
    blobs = {Digest.sha256(content): content for content in files.values()}
    return [
        part(INDEX, index.content),
        *(part(one.path, content) for one, content in zip(index.documents, contents, strict=True)),
        *(part(one.path, blobs[one.digest]) for one in index.blobs),
    ]


def part(path: str, content: bytes) -> Part:
    return header(path, len(content)), content


def signature_part(signature: Signature) -> Part:
    return part(SIGNATURE, signature_content(signature))


def tape(found: Iterable[Part], end: bytes = END) -> bytes:
    """Return a tar of parts, whose headers may lie."""
    return b"".join(head + content + padding(len(content)) for head, content in found) + end


def compressed(content: bytes, **options: Any) -> bytes:
    return zstd.compress(content, **options)


def read(content: bytes) -> tuple[BundleReader, list[bytes]]:
    """Read a bundle to its end, and return the content of each file of it."""
    reader = BundleReader(io.BytesIO(content), "b.tar.zst")
    found = [reader.read() for _ in reader.index.documents]
    found += [b"".join(chunks) for _, chunks in reader.blobs()]
    reader.finish()
    return reader, found
