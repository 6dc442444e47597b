"""What a bundle says beside its bytes: what the audit log keeps of it, and what is taken over from a trusted key.

Not here: reports, by which the gate judges (intake.unbundling).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weighbridge.domain.bundle import BundledVersion, measured_by
from weighbridge.domain.report import scanned_with
from weighbridge.domain.version import ModelVersion
from weighbridge.intake.opened_bundle import Signer
from weighbridge.intake.workspace import Workspace


def facts_of(bundled: BundledVersion, signer: Signer) -> dict[str, Any]:
    """Return the other installation's word on a version: whose it is, when and with what engines; plain JSON types."""
    return {
        "number_there": bundled.number,
        "upstream": bundled.manifest.ref.uri,
        "signed_by": signer.key,
        "trusted_as": signer.name,
        "verdict_there": bundled.decision.verdict,
        "policy_there": bundled.decision.policy,
        "policy_digest_there": bundled.decision.policy_digest,
        "decided_there_at": bundled.decided_at,
        "scanned_there_with": scanned_with(bundled.reports),
    }


def believe(bundled: BundledVersion, version: ModelVersion, signer: Signer, workspace: Workspace) -> Iterable[str]:
    """Keep what a trusted installation says beside its reports, in its name; what is said here stays."""
    catalog = workspace.catalog.acting(f"bundle:{signer.name}")
    known = [result.to_json() for result in catalog.results([version.manifest.digest], samples=True)]
    for result in reversed(bundled.results):  # The newest one comes last, as it came there.
        marked = measured_by(result, signer.name)
        if marked.to_json() not in known:
            catalog.add_result(marked)
    if version.status == "FAILED":
        return ()
    if bundled.changelog and not catalog.declarations.changelog(version.name, version.version):
        catalog.declarations.set_changelog(version.name, version.version, bundled.changelog)
    if not bundled.declared:
        return ()
    here = catalog.declarations.of(version.name)
    if here is None:
        catalog.declarations.change(version.name, bundled.declared)
        return ()
    same = here.content == bundled.declared
    return () if same else (f"What {here.by} declared of {version.name} here stays, and not what the bundle says.",)
