"""Writes what huggingface_hub's own tests create into a served catalog, as nothing writes to the mirror.

`tests.clients.hub_suite` puts it into their folder as `conftest.py`; source distributions do not have their own.
 A commit becomes a version; another branch or a proposed change is a model of its own (docs/adr/0019).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha1
from itertools import count
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, RepoUrl

from tests.catalog.values import CARD
from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now
from weighbridge.domain.decision import Decision
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.intake.mirrored_models import MAIN, REVISION_MARK
from weighbridge.store.local import LocalBlobStore

RepoFactory = Callable[..., RepoUrl]
_PASSED = Decision("PASSED", "minimal", "f" * 64, ())
_SCHEMES = {"model": "hf", "dataset": "hf-dataset"}
_ATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n"


class Repositories:
    """Repositories in a catalog that is served.

    Args:
        home: of the served registry.
    """

    def __init__(self, home: Path) -> None:
        self.catalog = Catalog.open(f"sqlite:///{home}/catalog.db", utc_now)
        self._store = LocalBlobStore(home / "store")
        self._branches: dict[tuple[str, str, str], dict[str, bytes]] = {}
        self._numbers = count(1)

    def commit(
        self,
        kind: str,
        name: str,
        added: dict[str, bytes],
        *,
        gone: set[str] = frozenset(),
        branch: str = MAIN,
        oid: str = "",
    ) -> str:
        """Add a version with these files and those before it, without some, and return its commit."""
        number = next(self._numbers)
        before = self._branches.get((kind, name, branch)) or self._branches.get((kind, name, MAIN), {})
        files = {path: body for path, body in (before | added).items() if path not in gone}
        self._branches[kind, name, branch] = files
        oid = oid or sha1(f"{name} {number}".encode()).hexdigest()
        uri = f"{_SCHEMES[kind]}:{name}@{oid}"
        entries = tuple(FileEntry(path, len(body), self._store.put([body])) for path, body in sorted(files.items()))
        called = name if branch == MAIN else f"{name}{REVISION_MARK}{branch}"
        manifest = Manifest(ModelRef.parse(uri), entries)
        self.catalog.settle_version(called, uri, manifest, CARD, _PASSED, (), lambda _: f"{number}.0.0")
        return oid

    def remove(self, kind: str, name: str) -> None:
        """Forget what a repository has: another one may be made under its name."""
        for key in [key for key in self._branches if key[:2] == (kind, name)]:
            del self._branches[key]


#: Public repositories that the tests load: kind, name, branch, commit where they name one, and files.
_PUBLIC: tuple[tuple[str, str, str, str, dict[str, bytes]], ...] = (
    *(
        (
            "model",
            "julien-c/dummy-unknown",
            branch,
            oid,
            {
                "config.json": b"{}".ljust(851),
                "pytorch_model.bin": b"w" * 65_074,
                "README.md": f"# {branch} {oid}".encode(),
            },
        )
        for branch, oid in ((MAIN, "f2c752cfc5c0ab6f4bdec59acea69eefbee381c2"), (MAIN, ""), ("refs/pr/1", ""))
    ),
    ("model", "hf-internal-testing/hfh-cache-layout", MAIN, "", {"file_0.txt": b"File 0\n"}),
    *(
        (
            *("model", "hf-internal-testing/hfh-cache-layout", f"file-{number}", ""),
            {f"file_{one}.txt": f"File {one}\n".encode() for one in (0, 1, number)},
        )
        for number in (2, 3)
    ),
    *(
        (
            "model",
            "hf-internal-testing/hfh_ci_scan_repo_a",
            branch,
            oid,
            {"README.md": f"# {oid}".encode(), ".gitattributes": b""},
        )
        for branch, oid in (
            (MAIN, "f95875cd910793299a545417cc4b3c9055202883"),
            (MAIN, "c0d57e03d9f128062eadb6665618982db612b2e3"),
            ("refs/pr/1", "1a665a9d28a66b1d0f8edd9359fc824aacc63234"),
        )
    ),
    (
        "dataset",
        "hf-internal-testing/hfh_ci_scan_dataset_b",
        MAIN,
        "f1cdcd4641b3ea2dfa8d4333dba1ea3b532735e1",
        {"README.md": b"#"},
    ),
    ("model", "celinah/dummy-xet-testing", MAIN, "", {"dummy.safetensors": b"w" * 200_000, "dummy.pth": b"p" * 1000}),
)
HELD = Repositories(Path(os.environ["SUITE_HOME"]))
for public in _PUBLIC:
    HELD.commit(public[0], public[1], public[4], branch=public[2], oid=public[3])


def _body(operation: CommitOperationAdd) -> bytes:
    with operation.as_file() as file:
        return bytes(file.read())


def _create_repo(self: HfApi, repo_id: str, *, repo_type: str | None = None, **_: Any) -> RepoUrl:
    name = repo_id if "/" in repo_id else f"dummy-hub-user/{repo_id}"
    HELD.commit(repo_type or "model", name, {".gitattributes": _ATTRIBUTES})
    folder = f"{repo_type}s/" if repo_type == "dataset" else ""
    return RepoUrl(f"{self.endpoint}/{folder}{name}", endpoint=self.endpoint)


def _create_commit(self: HfApi, repo_id: str, operations: Any, **options: Any) -> CommitInfo:
    operations = list(operations)
    added = {one.path_in_repo: _body(one) for one in operations if isinstance(one, CommitOperationAdd)}
    gone = {one.path_in_repo for one in operations if isinstance(one, CommitOperationDelete)}
    branch = "refs/pr/1" if options.get("create_pr") else options.get("revision") or MAIN
    kind = options.get("repo_type") or "model"
    oid = HELD.commit(kind, repo_id, added, gone=gone, branch=branch)
    url = f"{self.endpoint}/{repo_id}/commit/{oid}"
    return CommitInfo(url, options.get("commit_message", ""), "", oid, _endpoint=self.endpoint)


def _create_branch(self: HfApi, repo_id: str, *, branch: str, repo_type: str | None = None, **_: Any) -> None:
    HELD.commit(repo_type or "model", repo_id, {}, branch=branch)


def _delete_repo(self: HfApi, repo_id: str, *, repo_type: str | None = None, **_: Any) -> None:
    HELD.remove(repo_type or "model", repo_id)


for method in (_create_repo, _create_commit, _create_branch, _delete_repo):
    setattr(HfApi, method.__name__.removeprefix("_"), method)
for name in ("create_repo", "create_commit", "create_branch", "delete_repo", "upload_file", "upload_folder"):
    setattr(huggingface_hub.hf_api, name, getattr(HfApi(), name))


@pytest.fixture(scope="session")
def api() -> HfApi:
    return HfApi(endpoint=os.environ["HF_ENDPOINT"], token=os.environ["SUITE_TOKEN"])


@pytest.fixture
def repo_factory(api: HfApi) -> RepoFactory:
    numbers = count()
    return lambda repo_id=None, **options: api.create_repo(
        repo_id or f"made-{os.getpid()}-{next(numbers)}-{id(numbers)}", **options
    )


@pytest.fixture
def fx_cache_dir(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    request.cls.cache_dir = tmp_path
