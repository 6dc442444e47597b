"""Paths of the OCI distribution protocol: what a request asks for, read from the path as the client wrote it.

A name has slashes, and the word after it says what is asked of it; each segment is decoded once, after the split, so
that an escaped slash makes no further segment. Not here: what is at a path (web.oci.application).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

from weighbridge.domain.digest import Digest
from weighbridge.domain.mirror import OCI_PATH
from weighbridge.domain.text import shown
from weighbridge.errors import InvalidName, InvalidReference

PREFIX = OCI_PATH
What = Literal["base", "token", "catalog", "manifest", "blob", "tags", "unknown"]
#: Ollama's names and those of its tags have upper case, too, which other clients never send.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_NAME = 255


@dataclass(frozen=True)
class OciPath:
    """What a request asks for.

    Attributes:
        what: the sort of answer.
        name: of the repository.
        tag: of a manifest; empty where it is asked for by its digest.
        digest: of a manifest or a blob.
    """

    what: What
    name: str = ""
    tag: str = ""
    digest: Digest | None = None


def read_path(raw: bytes) -> OciPath:
    """Return what a path below `/v2` asks for.

    Args:
        raw: it begins with a slash or is empty, and is escaped as the client wrote it.

    Raises:
        InvalidName: what would be a repository's name is none.
        InvalidReference: what would be a digest is none.
    """
    parts = [_decoded(part) for part in raw.removeprefix(b"/").split(b"/")]
    if parts in ([""], ["token"], ["_catalog"]):
        whats: dict[str, What] = {"": "base", "token": "token", "_catalog": "catalog"}
        return OciPath(whats[parts[0]])
    if len(parts) < 3:
        return OciPath("unknown")
    *names, word, reference = parts
    if (word, reference) == ("tags", "list"):
        return OciPath("tags", _name(names))
    if word == "manifests":
        if ":" in reference:
            return OciPath("manifest", _name(names), digest=_digest(reference))
        return OciPath("manifest", _name(names), tag=reference)
    return OciPath("blob", _name(names), digest=_digest(reference)) if word == "blobs" else OciPath("unknown")


def is_name(name: str) -> bool:
    """Return whether a text can be the name of a repository."""
    return 0 < len(name) <= _MOST_NAME and all(_PART.fullmatch(part) for part in name.split("/"))


def _decoded(part: bytes) -> str:
    """Return a segment, decoded once; bytes that are no text become a sign that no name has."""
    return unquote_to_bytes(part).decode(errors="replace")


def _name(parts: list[str]) -> str:
    name = "/".join(parts)
    if any("/" in part for part in parts) or not is_name(name):
        raise InvalidName(
            f"“{shown(name, 80)}” is no name of a repository.", "Write letters, digits and . _ -, with slashes between."
        )
    return name


def _digest(text: str) -> Digest:
    if not _DIGEST.fullmatch(text):
        raise InvalidReference(f"“{shown(text, 80)}” is no digest.", "Write sha256: and 64 hexadecimal digits.")
    return Digest.parse(text)
