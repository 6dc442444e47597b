"""Keys, and the proof of the audit log, as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from weighbridge.domain.audit import AuditProof
from weighbridge.domain.text import shown
from weighbridge.views.catalog_tables import lines, moment_text
from weighbridge.views.text import counted

if TYPE_CHECKING:
    from weighbridge.catalog.keys import AccessKey

_STYLES = {"valid": "green", "expired": "yellow", "revoked": "red"}


def keys(found: Sequence[AccessKey], now: datetime) -> RenderableType:
    """Render keys, one a line; never their text."""
    if not found:
        return Text("There is no key. `weighbridge token create NAME --role ROLE` makes one.")
    rows = (
        (
            Text(key.name, style="bold"),
            key.role,
            Text(key.state(now), style=_STYLES[key.state(now)]),
            moment_text(key.created_at.isoformat()),
            moment_text(key.expires_at.isoformat()) if key.expires_at else "",
            moment_text(key.used_at.isoformat()) if key.used_at else "never",
            shown(", ".join(key.models)) or "all",
        )
        for key in found
    )
    return lines(("name", "role", "state", "made (UTC)", "expires", "last use", "models"), rows)


def key_text(key: AccessKey) -> str:
    """Return one sentence about a new key."""
    until = f", until {moment_text(key.expires_at.isoformat())} UTC" if key.expires_at else ""
    models = f", for {', '.join(key.models)}" if key.models else ""
    return f"This is the key {key.name} with the role {key.role}{models}{until}."


def proof(found: AuditProof) -> RenderableType:
    """Render what the examination of the audit log found; its last line is what to keep elsewhere."""
    if not found.flaws:
        whole = f"whole  {counted(found.rows, 'row')}: none was changed, removed or inserted."
        return Group(Text(whole, style="green"), Text(str(found.head)))
    head = f"not whole  {counted(found.rows, 'row')} examined"
    return Group(Text(head, style="red"), *(Text(shown(flaw)) for flaw in found.flaws))
