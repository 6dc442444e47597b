"""Publishers' signatures of a model as facts: which files are signatures, what each covers, whose it is.

Not here: what the facts lead to (domain.publisher_rules), keeping them (catalog.publishers).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from weighbridge.content import sandbox
from weighbridge.content.model_signatures.coverage import coverage
from weighbridge.content.model_signatures.library import ANCHORS, SIGNATURE
from weighbridge.content.model_signatures.statement import (
    MAX_SIZE,
    OtherSignature,
    SignedStatement,
    UnreadableSignature,
    read_statement,
)
from weighbridge.content.sandbox import HeaderReading, ReadingLimits
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Progress
from weighbridge.domain.publishers import Anchor, AnchorKind, PublisherSignature, SignerCheck
from weighbridge.store.interface import BlobStore

#: The usual name of a model's signature: a file of that name that cannot be read is worth a word.
USUAL_NAME = "model.sig"
_ENDINGS = (".sig", ".sigstore", ".sigstore.json")
#: Signatures of one model that are looked at.
MAX_SIGNATURES = 20
_LIMITS = ReadingLimits(memory_size=1024**3, address_space=4 * 1024**3, cpu_time_s=60)
#: Asks the libraries about the signature in a folder.
Ask = Callable[[Path], HeaderReading]
#: The trusted root of the public Sigstore, which the library brings.
PUBLIC_SIGSTORE = Anchor("sigstore")


def in_a_child(folder: Path) -> HeaderReading:
    """Return what the libraries say of the signature in a folder, asked in a child process without a network."""
    return sandbox.read("model-signature", folder, _LIMITS)


def candidates(manifest: Manifest, named: Collection[str] = ()) -> list[FileEntry]:
    """Return the files that may be signatures: by their names, or because a policy names them."""
    found = [
        entry
        for entry in manifest.files
        if entry.path in named or PurePosixPath(entry.path).name.lower().endswith(_ENDINGS)
    ]
    return sorted(found, key=lambda entry: (entry.path not in named, entry.path.count("/"), entry.path))


def examine(
    manifest: Manifest,
    blobs: BlobStore,
    anchors: Sequence[Anchor],
    progress: Progress,
    named: Collection[str] = (),
    ask: Ask = in_a_child,
) -> tuple[PublisherSignature, ...]:
    """Return what is known of each signature that a model has.

    Args:
        manifest: computed.
        blobs: where its files are.
        anchors: what signatures of their kind are checked against.
        progress: receives the bytes that are hashed.
        named: paths that the policy names as signatures.
        ask: asks the libraries.

    Raises:
        ScannerUnavailable: this machine cannot start a process now.
    """
    read: list[tuple[FileEntry, SignedStatement | str]] = []
    for entry in candidates(manifest, named):
        expected = entry.path in named or PurePosixPath(entry.path).name.lower() == USUAL_NAME
        try:
            read.append((entry, _statement(entry, blobs)))
        except UnreadableSignature as error:
            if expected or not isinstance(error, OtherSignature):
                read.append((entry, str(error)))
        if len(read) == MAX_SIGNATURES:
            break
    files = {entry.path for entry, statement in read if not isinstance(statement, str)}
    found = []
    for entry, statement in read:
        signature = _unchecked(entry, statement, files, manifest, blobs, progress)
        found.append(check_again(signature, blobs, anchors, ask))
    return tuple(found)


def check_again(
    signature: PublisherSignature, blobs: BlobStore, anchors: Sequence[Anchor], ask: Ask = in_a_child
) -> PublisherSignature:
    """Return a signature with checks against anchors that it was not checked against; only its own file is read.

    A check that failed is repeated by other versions of the libraries.

    Raises:
        ScannerUnavailable: this machine cannot start a process now.
    """
    kept = tuple(check for check in signature.checks if check.valid or check.by == _libraries())
    known = {check.anchor for check in kept}
    new = [anchor for anchor in anchors if anchor.kind == signature.kind and anchor.id not in known]
    if signature.problem or not (new or (signature.kind == "certificate" and not signature.claims)):
        return signature
    with tempfile.TemporaryDirectory(prefix="weighbridge-signature-") as name:
        folder = Path(name)
        (folder / SIGNATURE).write_bytes(blobs.path(Digest.parse(signature.digest)).read_bytes())
        listed: list[dict[str, Any]] = []
        for place, anchor in enumerate(new):
            file = f"anchor-{place}" if anchor.content else ""
            if file:
                (folder / file).write_text(anchor.content)
            listed.append({"kind": anchor.kind, "file": file})
        (folder / ANCHORS).write_text(json.dumps(listed))
        reading = ask(folder)
    answer = reading.answer
    if answer is None:  # Without what checked it, it is checked again the next time.
        problem = reading.reason.replace("its header", "it")
        checks = [SignerCheck(anchor.id, False, problem=problem) for anchor in new]
        return replace(signature, checks=tuple(sorted((*kept, *checks))))
    checks = [
        SignerCheck(anchor.id, **check, by=_libraries()) for anchor, check in zip(new, answer["checks"], strict=True)
    ]
    return replace(
        signature,
        intact=answer["intact"],
        claims=str(answer["claims"]),
        checks=tuple(sorted((*kept, *checks))),
    )


@cache
def _libraries() -> str:
    """Return what checks signatures here; what one of them refused, another version may accept."""
    return ", ".join(f"{name} {version(name)}" for name in ("model-signing", "sigstore"))


def _statement(entry: FileEntry, blobs: BlobStore) -> SignedStatement:
    if (entry.size or 0) > MAX_SIZE:
        if PurePosixPath(entry.path).name.lower() == USUAL_NAME:
            raise UnreadableSignature(f"it has more than {MAX_SIZE // 2**20} MiB")
        raise OtherSignature("it is too large")
    assert entry.digest is not None, "a computed manifest has the digest of every file"
    with blobs.open(entry.digest) as file:
        return read_statement(file.read(MAX_SIZE + 1))


def _unchecked(
    entry: FileEntry,
    statement: SignedStatement | str,
    files: set[str],
    manifest: Manifest,
    blobs: BlobStore,
    progress: Progress,
) -> PublisherSignature:
    """Return what is known of a signature without asking whose it is."""
    if isinstance(statement, str):
        return PublisherSignature(entry.path, str(entry.digest), problem=statement)
    folder = "".join(f"{part}/" for part in entry.path.split("/")[:-1])
    found = coverage(statement, folder, files, manifest, blobs, progress)
    return PublisherSignature(
        path=entry.path,
        digest=str(entry.digest),
        form=statement.form,
        method=statement.method,
        algorithm=statement.algorithm,
        kind=_kind(statement),
        covered=found.covered,
        mismatched=found.mismatched,
        missing=found.missing,
        uncovered=found.uncovered,
        ignored=found.ignored,
    )


def _kind(statement: SignedStatement) -> AnchorKind:
    """Return what a signature is to be checked against: one of Sigstore is in its log."""
    if "publicKey" in statement.material:
        return "key"
    return "sigstore" if statement.material.get("tlogEntries") else "certificate"
