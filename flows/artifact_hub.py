"""The artifacts of a refresh of the Hub's catalogue: counts, and the changes, those of watched models first."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.artifact_report import MAX_ROWS, outcome_stands
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.hub_models import HubChange
from weighbridge.domain.hub_news import RefreshDigest, change_of, digest_text, sentence
from weighbridge.domain.text import markdown_text, shown


def keep_refresh(digest: RefreshDigest, watched: Sequence[AuditRow]) -> None:
    """Write what a refresh noticed to artifacts of the present flow run.

    Args:
        digest: of all models.
        watched: the changes of watched models, as the audit log has them.
    """
    news = {change_of(row): row for row in watched}
    rows = [{"watched": _why(row), **_row(change)} for change, row in news.items()]
    rows += [{"watched": "", **_row(change)} for change in digest.first if change not in news]
    text = digest_text(digest.to_json())
    with outcome_stands("refresh of the Hub"):
        create_markdown_artifact(_markdown(digest, watched), key="hub-refresh", description=shown(text))
        left = f", of which the first {MAX_ROWS:,} are shown" if len(rows) > MAX_ROWS else ""
        description = f"{len(news):,} changes of watched models, then the first ones of the others{left}"
        create_table_artifact(rows[:MAX_ROWS], key="hub-changes", description=description)


def _row(change: HubChange) -> dict[str, str]:
    values = {"model": change.id, "what": str(change.field), "before": change.before, "after": change.after}
    return {name: shown(value, 200) for name, value in values.items()}


def _why(row: AuditRow) -> str:
    after = dict(row.after or {})
    names = ", ".join(after["models"])
    return shown(f"here as {names}" if names else "in models.yaml" if after["curated"] else "by a pattern", 200)


def _markdown(digest: RefreshDigest, watched: Sequence[AuditRow]) -> str:
    ended = digest.ended
    counts = {
        "models listed": ended.models,
        "new": ended.added,
        "with changes": ended.changed,
        "vanished": ended.vanished,
        "newly gated": digest.newly_gated,
        **{f"changes of {name}": count for name, count in digest.counts.items()},
        "changes of watched models": len(watched),
    }
    lines = [f"# The Hub's catalogue, {ended.kind} refresh", "", "| | |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in counts.items()]
    lines += ["", "## Watched models", ""] if watched else []
    lines += [f"- {markdown_text(sentence(change_of(row)), 500)}" for row in watched[:MAX_ROWS]]
    return "\n".join(lines)
