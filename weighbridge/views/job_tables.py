"""Jobs of the queue, drawn for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from weighbridge.catalog import StoredJob
from weighbridge.domain.progress import BYTES
from weighbridge.views.catalog_tables import lines, moment_text
from weighbridge.views.text import bytes_text

_COLOURS = {"done": "green", "failed": "red", "running": "yellow"}


def jobs(found: Sequence[StoredJob]) -> RenderableType:
    """Render jobs, a line each."""
    if not found:
        return Text("There is no job.")
    rows = (
        (job.id, _state(job), job.order.kind, job.order.name, moment_text(job.created_at.isoformat()), _end(job))
        for job in found
    )
    return lines(("id", "state", "kind", "model", "asked for", "end"), rows)


def job(found: StoredJob) -> RenderableType:
    """Render one job: its order, its steps, its end."""
    facts = [
        ("state", _state(found)),
        ("kind", found.order.kind),
        ("model", found.order.name),
        ("source", str(found.order.request.get("uri", ""))),
        ("asked for by", found.order.asker),
        ("asked for", moment_text(found.created_at.isoformat())),
        ("ended", moment_text(found.ended_at.isoformat()) if found.ended_at else ""),
        ("run", found.run_url),
        ("end", _end(found)),
    ]
    head = lines(("job", found.id), [(name, value) for name, value in facts if value])
    steps = [
        (step["name"], step["state"], _amount(step), step["working_on"]) for step in found.progress.get("steps", [])
    ]
    return Group(head, Text(), lines(("step", "state", "done", "at"), steps)) if steps else head


def _state(job: StoredJob) -> Text:
    text = "cancelling" if job.cancel_wanted and not job.ended else job.state
    return Text(text, style=_COLOURS.get(job.state, ""))


def _end(job: StoredJob) -> str:
    if job.end is None:
        return ""
    if job.end.problem:
        return f"{job.end.problem} {job.end.remedy}".strip()
    freed = f", {bytes_text(job.end.freed)} freed" if job.order.kind == "purge" else ""
    return f"{job.end.status} {job.end.version}".strip() + freed


def _amount(step: dict[str, object]) -> str:
    def text(number: object) -> str:
        return bytes_text(int(str(number))) if step["unit"] == BYTES else f"{number:,}"

    total = "" if step["total"] is None else f" of {text(step['total'])}"
    return f"{text(step['done'])}{total}" if step["done"] or total else ""
