"""Documents of the Hub's protocol: what a client reads of a version, with the keys that clients index.

A manifest has the sha256 of every file and not git's blob ids, so each file is described as the Hub describes one in
LFS: its id in git is that of its pointer, which sha256 and size determine, and its ETag is its sha256. Not here: trees
(web.mirror.trees), and who may see a version (intake.mirroring).
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha1
from typing import Any

from weighbridge.catalog import ModelSummary
from weighbridge.domain.access import Caller
from weighbridge.domain.card import ModelCard
from weighbridge.domain.manifest import FileEntry
from weighbridge.intake.mirrored_models import MAIN, hub_name
from weighbridge.intake.mirroring import Revisions, Served


def info(given: Served, *, blobs: bool, security: bool) -> dict[str, Any]:
    """Return the description of a version.

    Args:
        given: the version.
        blobs: whether its files come with size and digest.
        security: whether the state of its scans is included.
    """
    version, card = given.version, given.version.card
    document = {
        **_head(version.name, card),
        "sha": given.commit,
        "createdAt": moment(version.created_at),
        "lastModified": moment(version.created_at),
        "cardData": _metadata(card),
        "config": {"model_type": card.get("architecture")} if card.get("architecture") else {},
        "siblings": [{"rfilename": one.path, **(_sibling(one) if blobs else {})} for one in version.manifest.files],
        "usedStorage": version.manifest.size,
        **_weights(card),
    }
    return document | (
        {"securityRepoStatus": {"scansDone": given.transit is None, "filesWithIssues": []}} if security else {}
    )


def summary(model: ModelSummary) -> dict[str, Any]:
    """Return the entry of a model in a list."""
    times = {"createdAt": moment(model.created_at.isoformat()), "lastModified": moment(model.updated_at.isoformat())}
    return {**_head(model.name, model.card), **times}


def refs(known: Revisions, *, pull_requests: bool) -> dict[str, Any]:
    """Return branches and tags: `main` is the default version, and the number of each is a tag, with a `v` before."""
    branches = [_ref(MAIN, f"refs/heads/{MAIN}", known.main)] if known.main else []
    tags = [_ref(f"v{number}", f"refs/tags/v{number}", commit) for number, commit in known.numbers.items()]
    document: dict[str, Any] = {"branches": branches, "converts": [], "tags": tags}
    return document | ({"pullRequests": []} if pull_requests else {})


def whoami(caller: Caller) -> dict[str, Any]:
    """Return who a key belongs to; clients show the name, and index what it may do."""
    role = "read" if caller.role == "reader" else "write"
    token = {"displayName": caller.name, "role": role}
    return {
        "type": "user",
        "id": caller.actor,
        "name": caller.name,
        "fullname": caller.name,
        "auth": {"type": "access_token", "accessToken": token},
        "orgs": [],
    }


def blob(entry: FileEntry) -> dict[str, Any]:
    """Return git's id and the size of a file, and its LFS pointer, as trees have them.

    A file that its Hub has in git itself, and that is not here yet, has no pointer.
    """
    if entry.digest is None or entry.digest.algorithm != "sha256":  # It is not here yet.
        oid = entry.digest.hex if entry.digest else sha1(entry.path.encode(), usedforsecurity=False).hexdigest()
        return {"oid": oid, "size": entry.size or 0}
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{entry.digest.hex}\nsize {entry.size}\n".encode()
    oid = sha1(b"blob %d\0%s" % (len(text), text), usedforsecurity=False).hexdigest()
    return {
        "oid": oid,
        "size": entry.size,
        "lfs": {"oid": entry.digest.hex, "size": entry.size, "pointerSize": len(text)},
    }


def moment(text: str) -> str:
    """Return a time in the form that clients parse: `2026-11-28T15:04:05.000Z`."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _sibling(entry: FileEntry) -> dict[str, Any]:
    found = blob(entry)
    if "lfs" not in found:
        return {"size": entry.size, "blobId": found["oid"]}
    lfs = {"sha256": found["lfs"]["oid"], "size": entry.size, "pointerSize": found["lfs"]["pointerSize"]}
    return {"size": entry.size, "blobId": found["oid"], "lfs": lfs}


def _head(name: str, card: ModelCard) -> dict[str, Any]:
    """Return the keys that a list and a description share; some clients fail where one is missing."""
    name = hub_name(name)
    return {
        "_id": name,
        "id": name,
        "modelId": name,
        "author": name.partition("/")[0] if "/" in name else None,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": _tags(card),
        **({"pipeline_tag": card.get("task")} if card.get("task") else {}),
    }


def _tags(card: ModelCard) -> list[str]:
    licence = [f"license:{card.get('licence').lower()}"] if card.get("licence") else []
    return list(dict.fromkeys([*(card.get("tags") or ()), *(card.get("languages") or ()), *licence]))


def _metadata(card: ModelCard) -> dict[str, Any]:
    """Return what the head of a README says on the Hub, as far as the card has it."""
    licence = card.get("licence")
    fields = {
        "license": licence.lower() if licence else None,
        "language": card.get("languages"),
        "base_model": card.get("base_model"),
        "tags": card.get("tags"),
        "pipeline_tag": card.get("task"),
    }
    return {name: value for name, value in fields.items() if value}


def _weights(card: ModelCard) -> dict[str, Any]:
    formats, total = card.get("formats") or (), card.get("parameter_count")
    found: dict[str, Any] = {}
    if "safetensors" in formats and total:
        found["safetensors"] = {"parameters": card.get("dtypes") or {}, "total": total}
    if "gguf" in formats and total:
        read = {"architecture": card.get("architecture"), "context_length": card.get("context_length")}
        found["gguf"] = {"total": total, **read}
    return found


def _ref(name: str, ref: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": ref, "targetCommit": commit}
