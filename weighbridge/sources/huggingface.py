"""The sources `huggingface`, `huggingface-dataset` and `git-xet`: repositories of the Hub, `hf:org/name@revision`.

huggingface_hub asks for the description of a repository and the addresses of its files; the bytes come over HTTP
(net.transfer) or Xet (net.hub.xet). Options: `files` and `exclude`. Not here: the Hub's cache layout (registries),
checking digests (intake.fetching).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar
from urllib.parse import quote

import httpx
from huggingface_hub import HfApi, HfFileMetadata, get_session, hf_hub_url
from huggingface_hub.hf_api import DatasetInfo, ModelInfo, RepoSibling
from huggingface_hub.utils._runtime import is_xet_available
from huggingface_hub.utils._xet import is_valid_xet_hash

from weighbridge.domain.digest import Digest
from weighbridge.domain.hub_models import Gated
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.domain.source_kinds.hub import DEFAULT_ENDPOINT
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    InvalidConfiguration,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.net.deadlines import DOCUMENT_TIMES, obey, within
from weighbridge.net.hub.access import check_access
from weighbridge.net.hub.commits import COMMIT, CommitAnswer, ask_commit
from weighbridge.net.hub.errors import gated_refusal, hub_errors
from weighbridge.net.hub.tree import PAGE, TreeFile, list_tree
from weighbridge.net.hub.xet import XetFailed, XetFile, XetTransfer
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import Transfer, same_origin
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options

logger = logging.getLogger(__name__)

#: Bytes that the description of an account may have; it lists organisations.
_MAX_WHOAMI = 4 * 1024**2
#: The branch of a reference that names none.
_DEFAULT_BRANCH = "main"


class HuggingFaceSource:
    """Model repositories; see the module.

    The token of the settings goes to the endpoint's host only; the one that `hf auth login` keeps is not used.

    Raises:
        InvalidConfiguration: the credentials are a user and a password.
    """

    kind: ClassVar[str] = "huggingface"
    repo_type: ClassVar[str] = "model"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._endpoint = (settings.endpoint or DEFAULT_ENDPOINT).rstrip("/")
        if settings.auth.username:
            raise InvalidConfiguration("The Hub takes a token, not a user and a password.", "Name an access token.")
        self._authorization = settings.auth.header(self._endpoint)
        self._token = settings.auth.token if self._authorization else ""
        headers = {"Via": settings.via} if settings.via else None
        self._api = HfApi(self._endpoint, token=self._token or False, library_name="weighbridge", headers=headers)
        self._transfer = Transfer.of(settings)
        self._xet = XetTransfer(timeout_s=settings.timeout_s)
        self._gated: dict[str, Gated] = {}

    def resolve(self, ref: ModelRef) -> Manifest:
        """List the files at a revision; the reference is pinned to the commit.

        The description of the repository names the commit, and the commit's tree lists the files. LFS files have a
        sha256, the others git's blob id.

        Raises:
            ModelNotFound: no such repository, revision, or file of the option `files`.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `hub_errors`; the last also for a truncated list.
            InvalidReference: an unknown option, or an invalid id.
        """
        refuse_unknown_options(ref, ())
        info = self._info(ref)
        commit = info.sha if isinstance(info.sha, str) else ""
        if not COMMIT.fullmatch(commit) or (COMMIT.fullmatch(ref.revision) and commit != ref.revision):
            raise SourceMisbehaved(
                f"{self._endpoint} was asked for {ref.uri} and describes the commit “{commit[:60]}”.",
                "Check that the endpoint is a Hugging Face Hub or a true mirror of one.",
                uri=ref.uri,
            )
        self._gated[ref.id] = Gated.of(info.gated)
        files = self._files(ref.pinned(commit), [one.rfilename for one in info.siblings or ()])
        if not files:
            raise ModelNotFound(f"{ref.id} holds no files at {commit}.", "Name a revision that has some.", uri=ref.uri)
        chosen = Selection.of(ref).of_names((file.path for file in files), ref.id)
        entries = tuple(_entry(file, commit) for file in files if file.path in chosen)
        return refuse_oversize(Manifest(ref.pinned(commit), entries, gated=bool(info.gated)), self._settings)

    def commit(self, ref: ModelRef, etag: str = "") -> CommitAnswer:
        """Ask what commit a reference's branch is at; see `interface.Branching`."""
        revision = quote(ref.revision or _DEFAULT_BRANCH, safe="")
        return ask_commit(
            self._transfer,
            f"{self._api_url(ref)}/revision/{revision}",
            authorization=self._authorization,
            etag=etag,
            via=self._settings.via,
        )

    def check_access(self, ref: ModelRef) -> None:
        """Return if the token of the settings may read a repository; see `interface.Permitting`."""
        url = f"{self._api_url(ref)}/auth-check"
        check_access(self._transfer, url, authorization=self._authorization, via=self._settings.via)

    def service(self, ref: ModelRef | None = None) -> str:
        """Return the endpoint; see `interface.Service`."""
        return shown(self._endpoint)

    def greet(self, ref: ModelRef | None = None) -> str:
        """Ask whom the token belongs to; see `interface.Service`. A mirror without accounts does not know."""
        url, also = f"{self._endpoint}/api/whoami-v2", () if self._authorization else (401,)
        with suppress(ModelNotFound):
            self._transfer.read(
                url, accept="application/json", authorization=self._authorization, max_size=_MAX_WHOAMI, also=also
            )
            return "the token is valid" if self._authorization else "without a token"
        return ""

    def _info(self, ref: ModelRef, *, files: bool = False) -> ModelInfo | DatasetInfo:
        ask = self._api.model_info if self.repo_type == "model" else self._api.dataset_info
        timeout_s = self._settings.timeout_s

        def once() -> ModelInfo | DatasetInfo:
            with self._asking(ref):
                return ask(ref.id, revision=ref.revision or None, files_metadata=files, timeout=timeout_s)

        return self._settings.retrying.call(once)

    @contextmanager
    def _asking(self, ref: ModelRef, path: str = "") -> Iterator[None]:
        """Run requests of the Hub's client within a deadline, which it lacks, and convert its errors to ours."""
        hooks = get_session().event_hooks["request"]
        if obey not in hooks:
            hooks.append(obey)
        timeout_s = DOCUMENT_TIMES * self._settings.timeout_s
        with within(timeout_s), hub_errors(ref, self._endpoint, self._token, path, self._gate_of(ref)):
            yield

    def _gate_of(self, ref: ModelRef) -> Gated:
        return self._gated.get(ref.id, Gated.UNKNOWN)

    def _api_url(self, ref: ModelRef) -> str:
        return f"{self._endpoint}/api/{self.repo_type}s/{quote(ref.id)}"

    def _files(self, pinned: ModelRef, named: list[str]) -> list[TreeFile]:
        """Return every file of a commit.

        Args:
            pinned: the reference at the commit.
            named: the files that the description names, which may be only some of them.

        Raises:
            SourceMisbehaved: the list lacks a file that the description names, or there is none and the description
                may be truncated.
            AccessDenied: the repository is gated, and the endpoint does not even list its files.
        """
        url = f"{self._api_url(pinned)}/tree/{pinned.revision}"
        try:
            files = list_tree(self._transfer, url, self._authorization, self._settings.max_files)
        except AccessDenied as error:
            if self._gate_of(pinned) in (Gated.NO, Gated.UNKNOWN) or isinstance(error, AddressRefused):
                raise
            raise gated_refusal(pinned, self._endpoint, self._token, self._gate_of(pinned)) from error
        if files is None:  # a mirror without such a list
            files = _listed(self._info(pinned, files=True).siblings or [])
            missing = "files beyond these" if len(files) >= PAGE else ""
        else:
            lost = sorted(set(named) - {file.path for file in files}) if len(files) <= self._settings.max_files else []
            missing = repr(lost[0]) if lost else ""
        if missing:
            raise SourceMisbehaved(
                f"{self._endpoint} lists {len(files):,} files of {pinned.id} and may lack {missing}.",
                "Nothing was taken, as files would be missing. Try again later, or another endpoint (HF_ENDPOINT).",
                uri=pinned.uri,
            )
        return files

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file from `offset`: one HEAD for its address, then its bytes.

        Raises:
            SourceMisbehaved: the endpoint answers with another commit, size or digest than was resolved.
            ModelNotFound, AccessDenied, SourceUnavailable: as `resolve`; also while the chunks are read.
        """
        url = hf_hub_url(ref.id, entry.path, repo_type=self.repo_type, revision=ref.revision, endpoint=self._endpoint)
        with self._asking(ref, entry.path):
            metadata = self._api.get_hf_file_metadata(url=url, timeout=self._settings.timeout_s)
        _refuse_another(ref, entry, metadata)
        file = self._xet_file(entry, metadata)
        if file:
            yield ByteStream(offset, self._through_xet(file, url, offset), entry.size)
            return
        with self._transfer.stream(url, offset=offset, size=entry.size, authorization=self._authorization) as stream:
            yield stream

    def _xet_file(self, entry: FileEntry, metadata: HfFileMetadata) -> XetFile | None:
        """Return the file of Xet; None where there is none, or where no digest would prove the bytes."""
        data = metadata.xet_file_data
        if data is None or self._xet.broken or not is_xet_available() or not is_valid_xet_hash(data.file_hash):
            return None
        if not entry.size or not entry.digest or not self._is_ours(data.refresh_route):
            return None
        return XetFile(data.file_hash, entry.size, data.refresh_route, self._authorization)

    def _is_ours(self, url: str) -> bool:
        """Return whether an address that the endpoint names is its own, so that the token may go there."""
        try:
            return same_origin(self._endpoint, url)
        except httpx.InvalidURL:
            return False

    def _through_xet(self, file: XetFile, url: str, offset: int) -> Iterator[bytes]:
        """Yield a file's bytes through Xet, and over HTTP from the offset at which Xet fails."""
        position = offset
        try:
            for chunk in self._xet.chunks(file, offset):
                position += len(chunk)
                yield chunk
        except XetFailed as error:
            logger.warning("xet failed, going on over http", extra={"url": url, "reason": str(error)})
        if position < file.size:
            with self._transfer.stream(
                url, offset=position, size=file.size, authorization=self._authorization
            ) as stream:
                if stream.offset != position:
                    raise SourceUnavailable(f"{url} cannot be resumed over HTTP.", "Run the same command again.")
                yield from stream.chunks


class HuggingFaceDatasetSource(HuggingFaceSource):
    """Data set repositories, `hf-dataset:org/name@revision`; otherwise as `HuggingFaceSource`."""

    kind: ClassVar[str] = "huggingface-dataset"
    repo_type: ClassVar[str] = "dataset"


class GitXetSource(HuggingFaceSource):
    """Xet repositories, `xet:org/name@revision`: the Hub hosts them since XetHub joined it."""

    kind: ClassVar[str] = "git-xet"


def _listed(siblings: list[RepoSibling]) -> list[TreeFile]:
    """Return the files of a repository's description, for an endpoint without another list."""
    files = []
    for sibling in siblings:
        size = sibling.lfs.size if sibling.lfs else sibling.size
        sha256 = sibling.lfs.sha256 if sibling.lfs else ""
        if not isinstance(sibling.rfilename, str) or not isinstance(size, int | None):
            raise SourceMisbehaved(f"The Hub lists a file {sibling.rfilename!r} of {size!r} bytes.")
        files.append(TreeFile(sibling.rfilename, size, sibling.blob_id or "", sha256))
    return files


def _entry(file: TreeFile, commit: str) -> FileEntry:
    try:
        digest = Digest("sha256", file.sha256) if file.sha256 else None
        if not digest and file.git_id:
            digest = Digest("git-sha1", file.git_id)
    except (InvalidConfiguration, TypeError) as error:
        raise SourceMisbehaved(f"The Hub gives {file.path!r} an invalid digest.", path=file.path) from error
    return FileEntry(file.path, file.size, digest, version="" if digest else commit)


def _refuse_another(ref: ModelRef, entry: FileEntry, metadata: HfFileMetadata) -> None:
    """Raise when a HEAD contradicts what was resolved; a missing field, or a length of 0, is not a contradiction."""
    told = (metadata.commit_hash, metadata.size, metadata.etag)
    promised = entry.digest.hex if entry.digest else None
    # 40 digits may be a proxy's SHA-1 of the content; git's blob id covers a header too.
    sha256 = promised and len(promised) == 64 and told[2] and re.fullmatch("[0-9a-f]{64}", told[2])
    comparable = told[2] if sha256 else None
    for what, now, expected in (
        ("commit", told[0], ref.revision),
        ("size", told[1], entry.size),
        ("digest", comparable, promised),
    ):
        if now and expected is not None and now != expected:
            raise SourceMisbehaved(
                f"{entry.path} of {ref.uri} has the {what} {now} now, not {expected} as resolved.",
                "The endpoint, or a proxy in between, does not serve what it lists. Try again later, or another one.",
                uri=ref.uri,
                path=entry.path,
                expected=expected,
                actual=now,
            )
