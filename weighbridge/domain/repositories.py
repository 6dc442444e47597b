"""The repository of a Hub that a model came from, by the one name that is the same for all spellings of it.

Not here: what is known of repositories (catalog.repositories), and the URIs (domain.uris).
"""

from __future__ import annotations

from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.bundle import BUNDLE
from weighbridge.domain.source_kinds.hub import GIT_XET, HUGGINGFACE
from weighbridge.errors import WeighbridgeError

_KINDS = (HUGGINGFACE.name, GIT_XET.name)


def repository_of(ref: ModelRef) -> str:
    """Return the model repository that a reference is of, case folded as the Hub compares names; empty for none.

    For a version of a bundle, it is the one that the bundle says the model came from.
    """
    if ref.kind == BUNDLE.name and (upstream := ref.option("upstream")):
        return repository_at(upstream[0])
    return ref.id.casefold() if ref.kind in _KINDS else ""


def repository_at(uri: str) -> str:
    """Return the model repository that a URI is of, as `repository_of` does; empty for what is not a URI of a model."""
    try:
        return repository_of(ModelRef.parse(uri))
    except WeighbridgeError:  # Its source may be a plug-in's that is not installed any more.
        return ""
