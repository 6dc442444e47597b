"""The kinds of sources: one record and one line here for each. Everything that differs by kind is in its record.

Records are light: adapters and the classes of options are named by import path, and imported when they are needed.
Not here: kinds that installed packages bring (source_kinds.plugins), and what opens a source (weighbridge.sources).
"""

from __future__ import annotations

from weighbridge.domain.source_kinds.bundle import BUNDLE
from weighbridge.domain.source_kinds.file import FILE
from weighbridge.domain.source_kinds.git_lfs import GIT_LFS
from weighbridge.domain.source_kinds.hub import GIT_XET, HUGGINGFACE, HUGGINGFACE_DATASET
from weighbridge.domain.source_kinds.mlflow import MLFLOW
from weighbridge.domain.source_kinds.mock import MOCK
from weighbridge.domain.source_kinds.ollama import OLLAMA
from weighbridge.domain.source_kinds.pypi import PYPI
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.domain.source_kinds.s3 import S3
from weighbridge.domain.source_kinds.url import URL

#: Our own kinds by name.
KINDS: dict[str, SourceKind] = {
    kind.name: kind
    for kind in (
        HUGGINGFACE,
        HUGGINGFACE_DATASET,
        S3,
        MLFLOW,
        GIT_LFS,
        GIT_XET,
        OLLAMA,
        PYPI,
        URL,
        FILE,
        BUNDLE,
        MOCK,
    )
}


def record_of(kind: str) -> SourceKind:
    """Return the record of a kind; for a kind that is not our own, the record that plug-ins have."""
    return KINDS.get(kind) or SourceKind(kind, (kind,), adapter="")


def kinds_by_scheme() -> dict[str, SourceKind]:
    """Return our own kinds by each of their URI schemes; a scheme means exactly one kind."""
    return {scheme: kind for kind in KINDS.values() for scheme in kind.schemes}
