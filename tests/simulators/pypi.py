"""A Python index on a real socket, as HTML (PEP 503) or JSON (PEP 691, 700), and wheels built by code."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from packaging.utils import canonicalize_name

from tests.simulators.web import Page, WebServer

Row = tuple[str, str, str]


def record_row(path: str, content: bytes) -> Row:
    """A line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return path, f"sha256={digest}", str(len(content))


def build_wheel(
    package: str,
    version: str,
    files: dict[str, bytes],
    *,
    record: Callable[[list[Row]], Iterable[Row]] = lambda rows: rows,
    unlisted: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """Build a wheel: the files, METADATA, WHEEL and a RECORD, which `record` may falsify; `unlisted` stands in none."""
    info = f"{package}-{version}.dist-info"
    members = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    rows = [record_row(path, content) for path, content in members.items()]
    lines = [",".join(row) for row in record([*rows, (f"{info}/RECORD", "", "")])]
    members[f"{info}/RECORD"] = "\n".join(lines).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, content in (members | (unlisted or {})).items():
            archive.writestr(zipfile.ZipInfo(path), content, compress_type=compression)
    return buffer.getvalue()


@dataclass
class Release:
    """A file on the index; `sha256` and `size` None leave them out."""

    filename: str
    content: bytes
    sha256: str | None = ""
    size: bool = True
    yanked: str | None = None
    url: str = ""
    faults: dict[str, Any] = field(default_factory=dict)


class PythonIndex:
    """Projects of a simple repository on a web server."""

    def __init__(self, web: WebServer, page_format: Literal["html", "json"] = "html") -> None:
        self.web, self.page_format = web, page_format
        self.projects: dict[str, list[Release]] = {}

    @property
    def url(self) -> str:
        return self.web.url("/simple")

    def add(self, project: str, release: Release) -> Release:
        """Serve a file and list it on its project's page."""
        self.projects.setdefault(project, []).append(release)
        if release.sha256 == "":
            release.sha256 = hashlib.sha256(release.content).hexdigest()
        self.web.put(f"/files/{release.filename}", release.content, **release.faults)
        self._publish(project)
        return release

    def add_wheel(self, package: str, version: str, files: dict[str, bytes], **kwargs: Any) -> Release:
        """Build a pure wheel, serve and list it."""
        content = build_wheel(package, version, files)
        return self.add(canonicalize_name(package), Release(f"{package}-{version}-py3-none-any.whl", content, **kwargs))

    def _publish(self, project: str) -> None:
        releases = self.projects[project]
        if self.page_format == "json":
            content = json.dumps(
                {
                    "meta": {"api-version": "1.1"},
                    "name": project,
                    "versions": [],
                    "files": [_json(release) for release in releases],
                }
            ).encode()
            media_type = "application/vnd.pypi.simple.v1+json"
        else:
            links = "\n".join(_link(release) for release in releases)
            content, media_type = f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html"
        self.web.pages[f"/simple/{project}/"] = Page(content, headers={"Content-Type": media_type})


def _address(release: Release) -> str:
    return release.url or f"../../files/{release.filename}"


def _link(release: Release) -> str:
    fragment = f"#sha256={release.sha256}" if release.sha256 else ""
    yanked = "" if release.yanked is None else f' data-yanked="{html.escape(release.yanked)}"'
    return f'<a href="{html.escape(_address(release) + fragment)}"{yanked}>{html.escape(release.filename)}</a><br/>'


def _json(release: Release) -> dict[str, Any]:
    return {
        "filename": release.filename,
        "url": _address(release),
        "hashes": {"sha256": release.sha256} if release.sha256 else {},
        "size": len(release.content) if release.size else None,
        "yanked": False if release.yanked is None else (release.yanked or True),
    }
