"""Inspecting: a folder or file of this machine through scan, describe and decide, in place; nothing is kept.

A folder is judged as a whole, since a program that loads it there may read any file: what an ingest leaves out is
scanned too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from weighbridge.content.cards.describe import describe
from weighbridge.domain import gate
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import publishers, scanning
from weighbridge.intake.workspace import Workspace
from weighbridge.store.folder import FolderBlobs


def inspect_folder(path: Path, workspace: Workspace, wanted_policy: str = "") -> ModelVersion:
    """Return the version that all files below the path would make, without a number and unpublished.

    Raises:
        ModelNotFound: there is no such path.
        ScannerUnavailable: an engine cannot be reached.
    """
    ref = ModelRef("file", str(path.expanduser().absolute()))
    request = IngestRequest(ref, policy=wanted_policy)
    declared = workspace.source(ref, request.auth).resolve(replace(ref, options=(("litter", "keep"),)))
    blobs = FolderBlobs(declared, workspace.progress)
    rules = workspace.policy(request)
    known = workspace.catalog.reports([entry.digest for entry in blobs.manifest.files if entry.digest])
    subjects = scanning.subjects(blobs.manifest.files, blobs)
    reports = scanning.scan(subjects, workspace.engines, known, workspace.scan_slots, workspace.progress)
    workspace.catalog.add_reports(reports)
    card = describe(blobs.manifest, blobs)
    signatures = publishers.examined(blobs.manifest, blobs, rules, workspace.progress)
    decision = gate.decide(blobs.manifest, reports, card, rules, workspace.clock(), signatures)
    return ModelVersion(
        name=ref.name,
        version="unpublished",
        status=decision.verdict,
        source=ref.uri,
        manifest=blobs.manifest,
        card=card,
        decision=decision,
        reports=reports,
    )
