"""Attestations in a terminal: what was exported, and check by check what was verified. Shows, decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from weighbridge.domain.text import shown
from weighbridge.views.catalog_tables import lines
from weighbridge.views.text import counted

if TYPE_CHECKING:
    from weighbridge.intake.attesting import Attestation, AttestationProof

_MARKS = {True: ("holds", "green"), False: ("fails", "bold red"), None: ("not checked", "dim")}


def exported(done: Attestation, path: str) -> RenderableType:
    """Render an attestation that was written to a file."""
    which = f"{shown(done.version.name)}@{done.version.version}"
    return Text(
        f"{shown(path)} has {counted(len(done.statements), 'statement')} on {which}, which is {done.result}, signed by "
        f"the key {done.key.id[:16]}…."
    )


def proof(done: AttestationProof) -> RenderableType:
    """Render what verifying came to: a numbered line a check, then the result."""
    rows = (
        (str(number), Text(check.name), Text(*_MARKS[check.passed]), Text(shown(check.message)))
        for number, check in enumerate(done.checks, start=1)
    )
    what = shown(done.model) or shown(done.file)
    result = (
        Text(f"{what}: every check holds.") if done.verified else Text(f"{what} is not verified.", style="bold red")
    )
    return Group(lines(("", "check", "", "what was found"), rows), result)
