"""The preview of an ingest, as text for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from weighbridge.domain.text import shown
from weighbridge.views.text import bytes_text, count_text

if TYPE_CHECKING:
    from weighbridge.intake.previewing import Preview


def preview(found: Preview) -> RenderableType:
    """Render a preview: the model, its size, what it would be rejected for, and what is not known yet."""
    card, declared = found.card, found.declared
    parameters = card.get("parameter_count")
    room = f"{bytes_text(found.free)} are free" + ("" if found.fits else ": too few")
    facts = {
        "model": found.name,
        "from": declared.ref.uri,
        "files": f"{len(declared.files)}, {bytes_text(declared.size)}",
        "to fetch": f"{bytes_text(found.need)}; {room}",
        "licence": card.get("licence") or "not found",
        "architecture": card.get("architecture") or "",
        "parameters": count_text(parameters) if parameters else "",
        "access": _access(found),
    }
    lines = [Text.assemble((f"{name:<13}", "cyan"), shown(value)) for name, value in facts.items() if value]
    if found.rejections:
        lines.append(Text(f"It would be rejected under the policy {found.policy}:", style="bold red"))
    else:
        text = f"Nothing that was read speaks against it under the policy {found.policy}."
        lines.append(Text(text, style="green"))
    for reason in found.rejections:
        where = f"{shown(reason.path)}: " if reason.path else ""
        lines.append(Text.assemble(("✗ ", "bold red"), where, shown(reason.message), (f" {reason.rule}", "dim")))
    lines.append(Text("Not known:", style="bold"))
    lines += [Text(f"- {shown(sentence)}") for sentence in found.unknown]
    return Group(*lines)


def _access(found: Preview) -> str:
    if found.refused:
        return f"refused: {found.refused}"
    return "gated, and open to this account" if found.declared.gated else ""
