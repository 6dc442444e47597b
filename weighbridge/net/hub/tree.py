"""The files of a commit as a Hub lists them: `/tree` of the commit, page by page.

The Hub's other list, `siblings` of a repository's description, is truncated for large repositories. Not here:
descriptions (sources.huggingface), and the meaning of refusals (net.hub.errors).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from weighbridge.errors import SourceError, SourceMisbehaved
from weighbridge.net.transfer import Transfer

#: The entries of a page of the Hub; a description with as many files may be truncated.
PAGE = 1000
_NEXT = re.compile(r"<([^<>]*)>\s*(?:;[^,<]*)?;\s*rel=\"?next\"?", re.IGNORECASE)
#: Statuses of mirrors without such a list.
_NO_TREE = frozenset({404, 405, 501})


@dataclass(frozen=True)
class TreeFile:
    """One file of a commit.

    Attributes:
        path: as the Hub has it, unchecked.
        size: bytes; None where a mirror does not state it.
        git_id: the id of its blob in git; for an LFS file, that of its pointer.
        sha256: that of an LFS file; empty for others.
    """

    path: str
    size: int | None
    git_id: str
    sha256: str = ""


def list_tree(transfer: Transfer, url: str, authorization: str, max_files: int) -> list[TreeFile] | None:
    """List every file of a commit, folders included; None where the endpoint has no such list.

    The next page is always requested at `url`, with the query of the `Link` header: a mirror may pass on links that
    lead to the host it mirrors, where neither our request nor our token belongs.

    Args:
        transfer: sends the requests.
        url: `…/tree/<commit>` without a query.
        authorization: value of the header, or empty.
        max_files: more are not listed.

    Raises:
        SourceMisbehaved: a page is not a list of files, or the pages do not end.
        AccessDenied, ModelNotFound, SourceUnavailable: as `Transfer.read`.
    """
    files: list[TreeFile] = []
    query, asked = "recursive=true&expand=false", set[str]()
    while query and len(files) <= max_files:
        asked.add(query)
        try:
            page = transfer.read(f"{url}?{query}", accept="application/json", authorization=authorization)
        except SourceError as error:
            if len(asked) > 1 or error.facts.get("http_status") not in _NO_TREE:
                raise
            return None
        files += _files(page.content, url)
        following = _NEXT.search(page.headers.get("link", ""))
        query = urlsplit(following[1]).query if following else ""
        if following and (not query or query in asked):
            raise SourceMisbehaved(f"The list of files at {url} has no end.", "Try again later, or another endpoint.")
    return files


def _files(content: bytes, url: str) -> Iterator[TreeFile]:
    try:
        entries = json.loads(content)
        if not isinstance(entries, list):
            raise TypeError("it is not a list")
        for entry in entries:
            if entry["type"] != "directory":
                yield _file(entry)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceMisbehaved(
            f"The response of {url} is not a list of a commit's files: {error!s:.100}.",
            "Check that the endpoint is a Hugging Face Hub or a true mirror of one.",
        ) from error


def _file(entry: Any) -> TreeFile:
    lfs = entry.get("lfs") or {}
    path, git_id, sha256 = entry["path"], entry.get("oid") or "", lfs.get("oid") or ""
    size = lfs.get("size", entry.get("size"))
    if entry["type"] != "file" or not all(isinstance(text, str) for text in (path, git_id, sha256)):
        raise TypeError(f"{path!r:.60} is of the type {entry['type']!r:.20}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise TypeError(f"{path!r:.60} has no size")
    return TreeFile(path, size, git_id, sha256)
