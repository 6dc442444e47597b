"""What the Hub simulator answers to a request: routes, access, listings and headers, as huggingface_hub's clients ask.

A pure function of what the hub holds; not here: sockets and faults (hub), contents (hub_repository).
"""

from __future__ import annotations

import json
import posixpath
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

from tests.simulators.hub_repository import Repository, StoredFile

if TYPE_CHECKING:
    from tests.simulators.hub import Hub

DATE = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names in lowercase."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ").strip()

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """A status, headers, and a body: bytes, or `size` bytes of a file from `offset` on."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    location: Path | None = None
    offset: int = 0
    size: int = 0

    @property
    def length(self) -> int:
        return self.size if self.location else len(self.content)


def answer(hub: Hub, request: Request) -> Answer:
    """Answer a request; a pure function but for the folders that repositories lie in."""
    parts = urlsplit(request.path).path.strip("/").split("/")
    if parts[:2] == ["api", "whoami-v2"]:
        return _whoami(hub, request)
    if len(parts) == 2 and parts[0] == "api" and parts[1] in ("models", "datasets"):
        return _listing(hub, request, parts[1])
    if parts[0] == "cdn":
        return _cdn(hub, request, parts[1])
    if parts[:2] == ["api", "resolve-cache"]:
        return _repository(hub, request, parts[2], parts[3:], _resolve_cache)
    if parts[0] == "api" and len(parts) > 2 and parts[1] in ("models", "datasets"):
        return _repository(hub, request, parts[1], parts[2:], _api)
    kind = "datasets" if parts[0] == "datasets" else "models"
    return _repository(hub, request, kind, parts[1:] if kind == "datasets" else parts, _resolve)


def document(content: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **named}, json.dumps(content).encode())


def refusal(status: int, code: str, message: str, **headers: str) -> Answer:
    coded = {"X_Error_Code": code} if code else {}
    return document({"error": message}, status, X_Error_Message=message, **coded, **headers)


def _whoami(hub: Hub, request: Request) -> Answer:
    if request.token not in hub.tokens:
        return refusal(401, "", "Invalid username or password.")
    return document({"type": "user", "id": "0" * 24, "name": "reader", "fullname": "Reader", "orgs": []})


def _repository(hub: Hub, request: Request, kind: str, parts: list[str], route: Any) -> Answer:
    """Find the repository, check the reader's right to know of it, and go on with what follows its id."""
    if request.token and request.token not in hub.tokens:
        return refusal(401, "", "Invalid credentials in Authorization header")
    for count in (2, 1):
        name = unquote("/".join(parts[:count]))
        if renamed := hub.renamed.get((kind, name)):
            return Answer(307, {"Location": request.path.replace("/".join(parts[:count]), renamed, 1)})
        repository = hub.repositories.get((kind, name))
        if repository and (not repository.private or repository.id in hub.tokens.get(request.token, ())):
            repository.refresh(hub.digests)
            found: Answer = route(hub, request, repository, parts[count:])
            return found
    return refusal(404 if request.token else 401, "RepoNotFound", "Repository not found")


def _api(hub: Hub, request: Request, repository: Repository, rest: list[str]) -> Answer:
    if rest == ["refs"]:
        return _refs(repository)
    action = rest[0] if rest else "revision"
    revision = unquote(rest[1]) if len(rest) > 1 else "main"
    commit = repository.find(revision)
    if not commit:
        return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    files, below = repository.commits[commit], unquote("/".join(rest[2:]))
    if action == "auth-check":
        denied = repository.gated and repository.id not in hub.tokens.get(request.token, ())
        return refusal(403, "GatedRepo", "Access is restricted.") if denied else Answer()
    if action == "revision" and request.query.get("expand") == "sha":
        return _sha_alone(request, repository, commit)
    if action == "revision":
        return document(_info(repository, commit, blobs=request.query.get("blobs", "").lower() in ("true", "1")))
    if action == "tree":
        return _tree(hub, request, files, below)
    if action == "paths-info":
        return _paths_info(files, parse_qs(request.body.decode()).get("paths", []))
    if action == "xet-read-token" and hub.cas_url:
        expiry = str(int(time.time()) + 3600)
        return document(
            {"accessToken": hub.cas_token, "exp": int(expiry), "casUrl": hub.cas_url},
            X_Xet_Cas_Url=hub.cas_url,
            X_Xet_Access_Token=hub.cas_token,
            X_Xet_Token_Expiration=expiry,
        )
    return refusal(404, "", "Sorry, we can't find the page you are looking for.")


def _sha_alone(request: Request, repository: Repository, commit: str) -> Answer:
    found = document({"_id": commit[:24], "id": repository.id, "sha": commit}, ETag=f'W/"3f-{commit[:27]}"')
    if request.headers.get("if-none-match") == found.headers["ETag"]:
        return Answer(304, {"ETag": found.headers["ETag"]})
    return found


def _info(repository: Repository, commit: str, *, blobs: bool) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = []
    for path, stored in repository.commits[commit].items():
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs:
            sibling |= {"size": stored.size, "blobId": stored.blob_id}
            if stored.lfs:
                sibling["lfs"] = {
                    "sha256": stored.sha256,
                    "size": stored.size,
                    "pointerSize": len(stored.pointer),
                }
        siblings.append(sibling)
    return {
        "_id": commit[:24],
        "id": repository.id,
        "author": repository.id.split("/")[0],
        "sha": commit,
        "private": repository.private,
        "gated": "manual" if repository.gated is True else repository.gated,
        "disabled": False,
        "lastModified": DATE,
        "createdAt": DATE,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
    }


def _listing(hub: Hub, request: Request, kind: str) -> Answer:
    """List the repositories that the reader may know of, chosen by author and by a part of the name."""
    if request.token and request.token not in hub.tokens:
        return refusal(401, "", "Invalid credentials in Authorization header")
    author, search = request.query.get("author", ""), request.query.get("search", "").lower()
    found = []
    for (of_kind, name), repository in sorted(hub.repositories.items()):
        if of_kind != kind or (author and name.split("/")[0] != author) or search not in name.lower():
            continue
        if repository.private and name not in hub.tokens.get(request.token, ()):
            continue
        repository.refresh(hub.digests)
        if commit := repository.find("main"):
            found.append(_info(repository, commit, blobs=False))
    return _page(hub, request, found)


def _page(hub: Hub, request: Request, entries: list[dict[str, Any]]) -> Answer:
    """Answer with one page of a listing; `Link` says where the next one is, as RFC 8288 has it."""
    query = request.query
    start, size = int(query.get("cursor", "0")), min(int(query.get("limit", hub.page_size)), hub.page_size)
    following = f"{hub.url}{urlsplit(request.path).path}?{urlencode({**query, 'cursor': start + size})}"
    link = {"Link": f'<{following}>; rel="next"'} if start + size < len(entries) else {}
    return document(entries[start : start + size], 200, **link)


def _refs(repository: Repository) -> Answer:
    def listed(refs: dict[str, str], prefix: str) -> list[dict[str, str]]:
        return [{"name": name, "ref": f"{prefix}{name}", "targetCommit": sha} for name, sha in refs.items()]

    return document(
        {
            "branches": listed(repository.branches, "refs/heads/"),
            "tags": listed(repository.tags, "refs/tags/"),
            "converts": [],
        }
    )


def _entry(path: str, stored: StoredFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "oid": stored.blob_id, "size": stored.size, "path": path}
    if stored.lfs:
        entry["lfs"] = {"oid": stored.sha256, "size": stored.size, "pointerSize": len(stored.pointer)}
    if stored.xet_hash:
        entry["xetHash"] = stored.xet_hash
    return entry


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}


def _tree(hub: Hub, request: Request, files: dict[str, StoredFile], below: str) -> Answer:
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    inside = {path: stored for path, stored in files.items() if not below or path.startswith(below + "/")}
    if below and not inside:
        return refusal(404, "EntryNotFound", f"{below} does not exist")
    folders: dict[str, None] = {}
    entries = []
    for path, stored in inside.items():
        parents = list(_parents(path, below))
        folders.update(dict.fromkeys(parents if recursive else parents[-1:]))
        if recursive or not parents:
            entries.append(_entry(path, stored))
    return _page(hub, request, [_folder(path) for path in folders] + entries)


def _parents(path: str, below: str) -> list[str]:
    found, parent = [], posixpath.dirname(path)
    while parent and parent not in (below, "/"):
        found.append(parent)
        parent = posixpath.dirname(parent)
    return found


def _paths_info(files: dict[str, StoredFile], paths: list[str]) -> Answer:
    found = []
    for path in paths:
        if path in files:
            found.append(_entry(path, files[path]))
        elif any(name.startswith(path.rstrip("/") + "/") for name in files):
            found.append(_folder(path))
    return document(found)


def _resolve(hub: Hub, request: Request, repository: Repository, rest: list[str]) -> Answer:
    if len(rest) < 3 or rest[0] not in ("resolve", "raw"):
        return refusal(404, "", "Not Found")
    revision, path = unquote(rest[1]), unquote("/".join(rest[2:]))
    commit = repository.find(revision)
    if not commit:
        return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    if repository.gated and repository.id not in hub.tokens.get(request.token, ()):
        message = f"Access to {repository.kind[:-1]} {repository.id} is restricted."
        return refusal(403 if request.token else 401, "GatedRepo", message, X_Repo_Commit=commit)
    stored = repository.commits[commit].get(path)
    if stored is None or not stored.unchanged:
        return refusal(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
    headers = {"X-Repo-Commit": commit, "ETag": f'"{stored.etag}"'}
    if stored.lfs:
        headers |= {"X-Linked-Etag": f'"{stored.sha256}"', "X-Linked-Size": str(stored.size)}
    if stored.xet_hash and hub.cas_url:
        auth = f"{hub.url}/api/{repository.kind}/{repository.id}/xet-read-token/{commit}"
        headers |= {"X-Xet-Hash": stored.xet_hash, "Link": f'<{auth}>; rel="xet-auth"'}
    if not hub.cdn:
        return _bytes(request, stored, headers)
    if stored.lfs:
        return Answer(302, headers | {"Location": f"{hub.cdn_url}/cdn/{stored.sha256}?Signature=secret"})
    cached = f"/api/resolve-cache/{repository.kind}/{repository.id}/{commit}/{quote(path)}"
    return Answer(307, headers | {"Location": cached})


def _resolve_cache(hub: Hub, request: Request, repository: Repository, rest: list[str]) -> Answer:
    stored = repository.commits.get(rest[0], {}).get(unquote("/".join(rest[1:])))
    if stored is None:
        return refusal(404, "EntryNotFound", "Entry not found")
    return _bytes(request, stored, {"X-Repo-Commit": rest[0], "ETag": f'"{stored.etag}"'})


def _cdn(hub: Hub, request: Request, sha256: str) -> Answer:
    for repository in hub.repositories.values():
        for files in repository.commits.values():
            for stored in files.values():
                if stored.sha256 == sha256:
                    return _bytes(request, stored, {"ETag": f'"{sha256}"'})
    return refusal(404, "", "NoSuchKey")


def _bytes(request: Request, stored: StoredFile, headers: dict[str, str]) -> Answer:
    """Return the bytes that Range asks for."""
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    start, end = 0, stored.size
    status = 200
    if wanted := request.headers.get("range", "").removeprefix("bytes="):
        first, _, last = wanted.split(",")[0].partition("-")
        start = int(first) if first else max(0, stored.size - int(last))
        end = min(int(last) + 1, stored.size) if first and last else stored.size
        if start >= stored.size:
            return Answer(416, headers | {"Content-Range": f"bytes */{stored.size}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
    if stored.content is not None:
        return Answer(status, headers, stored.content[start:end])
    return Answer(status, headers, location=stored.location, offset=start, size=end - start)
