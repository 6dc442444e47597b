"""Names that a source would not take: repositories, revisions, tags and versions, judged before anything is asked.

So that a mistake in models.yaml is told with its line, and not in the middle of a night. Not here: whether there is
such a model (sources).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from weighbridge.domain.ref import ModelRef

_HUB = re.compile(r"(?=.{1,96}$)[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
#: What git accepts in a reference's name (git-check-ref-format), less what begins like an option.
GIT_REVISION = re.compile(r"(?!.*(?:\.\.|@\{))[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*")
#: A tag of Ollama's, or the digest of a manifest.
_OLLAMA_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}|sha256:[0-9a-fA-F]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def mistake(ref: ModelRef) -> str:
    """Return what is wrong with the names of a reference, in words for its writer; nothing where all may be right."""
    judge = _JUDGES.get(ref.kind)
    return judge(ref) if judge else ""


def _hub(ref: ModelRef) -> str:
    if not _HUB.fullmatch(ref.id):
        return f"“{ref.id}” is no repository of the Hub: write org/name, and a revision apart from it"
    return "" if not ref.revision or GIT_REVISION.fullmatch(ref.revision) else _no_revision(ref.revision)


def _git(ref: ModelRef) -> str:
    return "" if not ref.revision or GIT_REVISION.fullmatch(ref.revision) else _no_revision(ref.revision)


def _no_revision(revision: str) -> str:
    return f"“{revision}” is no revision: write a branch, a tag, or a commit of 40 digits"


def _ollama(ref: ModelRef) -> str:
    if ref.revision and not _OLLAMA_TAG.fullmatch(ref.revision):
        return f"“{ref.revision}” is no tag: it has up to 80 letters, digits and _ - . such as 7b or latest"
    return ""


def _pypi(ref: ModelRef) -> str:
    try:
        canonicalize_name(ref.id, validate=True)
        Version(ref.revision or "0")
    except InvalidName:
        return f"“{ref.id}” is no package name: write package, and the version apart from it"
    except InvalidVersion:
        return f"“{ref.revision}” is no version: write one such as 1.2, without <, >, = or ~"
    return ""


def _mock(ref: ModelRef) -> str:
    commits = ref.option("commitSha")
    return "" if all(map(_COMMIT.fullmatch, commits)) else "commitSha has 40 lowercase hex digits"


_JUDGES: Mapping[str, Callable[[ModelRef], str]] = {
    "git-lfs": _git,
    "git-xet": _hub,
    "huggingface": _hub,
    "huggingface-dataset": _hub,
    "mock": _mock,
    "ollama": _ollama,
    "pypi": _pypi,
}
