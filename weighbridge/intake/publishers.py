"""Publishers: what is known of the signatures of a model's files, found out once and kept.

A change of the policy reads the signature's own file again, and no weights. Not here: how signatures are read and
checked (content.model_signatures), and what follows from them (domain.publisher_rules).
"""

from __future__ import annotations

from collections.abc import Sequence

from weighbridge.content.model_signatures.checking import PUBLIC_SIGSTORE, candidates, check_again, examine
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.policy import Policy
from weighbridge.domain.progress import Progress
from weighbridge.domain.publishers import Anchor, PublisherSignature
from weighbridge.intake.workspace import Workspace
from weighbridge.store.interface import BlobStore


def signatures_of(manifest: Manifest, policy: Policy, workspace: Workspace) -> tuple[PublisherSignature, ...]:
    """Return what is known of a model's signatures, checked against what the policy names for its source.

    1. A model without a file that may be a signature costs nothing.
    2. What was found out before is not found out again; a signature is checked against anchors that are new.
    3. Where the bytes are gone, what is stored counts as it is.

    Args:
        manifest: computed.
        policy: the policy that it is judged under.
        workspace: the workspace to use.

    Raises:
        ScannerUnavailable: this machine cannot start a process now.
    """
    found = candidates(manifest, _named(policy, manifest))
    if not found:
        return ()
    catalog, store = workspace.catalog, workspace.store
    known = catalog.publishers.of(manifest.digest)
    if known is None or {entry.path for entry in found if entry.path in _named(policy, manifest)} - {
        signature.path for signature in known
    }:
        if not all(entry.digest and store.has(entry.digest) for entry in manifest.files):
            return known or ()
        now = examined(manifest, store, policy, workspace.progress)
    else:
        anchors = _anchors(policy, manifest)
        now = tuple(check_again(one, store, anchors) if store.has(Digest.parse(one.digest)) else one for one in known)
    if now != known:
        catalog.publishers.keep(manifest.digest, now)
    return now


def examined(
    manifest: Manifest, blobs: BlobStore, policy: Policy, progress: Progress
) -> tuple[PublisherSignature, ...]:
    """Return what `signatures_of` does, of files wherever they are; nothing is kept."""
    return examine(manifest, blobs, _anchors(policy, manifest), progress, _named(policy, manifest))


def _anchors(policy: Policy, manifest: Manifest) -> Sequence[Anchor]:
    named = [rule.anchor for rule in policy.publishers if rule.covers(manifest.ref)]
    return tuple(dict.fromkeys((PUBLIC_SIGSTORE, *named)))


def _named(policy: Policy, manifest: Manifest) -> frozenset[str]:
    """Return the files that the policy names as signatures of such a model."""
    return frozenset(rule.file for rule in policy.publishers if rule.file and rule.covers(manifest.ref))
