"""Bundles in a terminal: what was packed, what one has, and what an import came to. Shows, decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from weighbridge.domain.text import shown
from weighbridge.views.catalog_tables import first_reason, lines, moment_text, status_text
from weighbridge.views.text import bytes_text, counted

if TYPE_CHECKING:
    from weighbridge.intake.bundling import Bundled
    from weighbridge.intake.unbundling import Imported

_NOT_SIGNED = "It is not signed: `weighbridge bundle key` makes a key."
_SCANNED_HERE = "what is in it is scanned here"


def bundled(done: Bundled) -> RenderableType:
    """Render a bundle that was written."""
    content = sum(blob.size for blob in done.index.blobs)
    head = Text(
        f"{shown(done.path)} has {counted(len(done.index.versions), 'version')} with {bytes_text(content)} of files, "
        f"in {bytes_text(done.size)}."
    )
    rows = ((Text(shown(name), style="bold"), number) for name, number in done.index.versions)
    signed = f"It is signed by {done.key}." if done.key else _NOT_SIGNED
    return Group(
        head, lines(("model", "version"), rows), Text(f"bundle {done.index.digest}", style="dim"), Text(signed)
    )


def content(found: Mapping[str, Any]) -> RenderableType:
    """Render what a bundle has, of its `to_json`."""
    rows = (
        (
            Text(shown(one["name"]), style="bold"),
            one["version"],
            bytes_text(one["size"]),
            str(one["files"]),
            one["source"],
            f"{one['policy']} {moment_text(one['decided_at'])}",
            one["scanned_with"],
        )
        for one in found["versions"]
    )
    headers = ("model", "version", "size", "files", "source", "passed there", "scanned there with")
    return Group(
        lines(headers, rows),
        Text(f"bundle {found['bundle']}", style="dim"),
        Text(_signer_text(found["signed_by"] or "", found["trusted_as"] or "")),
    )


def imported(done: Imported) -> RenderableType:
    """Render what an import came to: a line a version, then its notes."""
    rows = (
        (
            Text(shown(one.version.name), style="bold"),
            one.version.version,
            status_text(one.version.status),
            one.how,
            first_reason(one.version),
        )
        for one in done.versions
    )
    notes = [
        Text(f"{shown(one.version.name)} {one.version.version}: {shown(note)}", style="yellow")
        for one in done.versions
        for note in one.notes
    ]
    index = done.index
    verified = f"All of its {counted(len(index.members), 'file')}, {bytes_text(index.size)}, have their sha256."
    last = Text(f"{_signer_text(done.signer.key, done.signer.name)}\n{verified}")
    return Group(lines(("model", "version", "status", "how", "why"), rows), *notes, last)


def origin(found: Mapping[str, Any]) -> RenderableType:
    """Render what is known of a version that came in a bundle, in the part of it that `show` prints."""
    who = f"{found['trusted_as']}, whose key is trusted here" if found["trusted_as"] else ""
    who = who or (f"{found['signed_by']}, which is not trusted here" if found["signed_by"] else "nobody")
    there = f"passed there under the policy {shown(found['policy_there'])} {moment_text(found['decided_there_at'])}"
    text = Text(
        f"from {shown(found['upstream'])}\n"
        f"in the bundle {found['bundle']}, signed by {who}\n"
        f"{there}, scanned with {shown(found['scanned_there_with'])}\n"
        f"imported {moment_text(found['imported_at'])} by {shown(found['by'])}: {found['how']}"
    )
    return Group(Text("\nImported", style="bold"), Padding(text, (0, 0, 0, 2), expand=False))


def _signer_text(key: str, name: str) -> str:
    if name:
        return f"Signed by {name}, whose key is trusted here: what was scanned there counts."
    if key:
        return f"Signed by {key}, which is not trusted here (WEIGHBRIDGE_TRUSTED_BUNDLE_KEYS): {_SCANNED_HERE}."
    return f"Not signed: {_SCANNED_HERE}."
