"""The flow `refresh_hub` brings the local catalogue of the Hub up to date and tells what changed of watched models.

weighbridge.intake.hub_refresh goes through the list; it resumes what an earlier run left, and announces changes itself.
Not here: the news as events of Prefect (hub_events), and as webhooks and audit rows (weighbridge.intake.hub_news).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.announcements import ERROR, NEWS, announced
from flows.artifact_hub import keep_refresh
from flows.artifact_progress import ArtifactProgress
from flows.end_states import failed, refreshed
from flows.hub_events import tell_news
from flows.parameter_types import DUE, RefreshKind
from flows.run_workspace import run_workspace, settings_blocks
from tasks.refresh import refresh_catalogue
from weighbridge.domain.hub_news import MODEL_CHANGED
from weighbridge.domain.refresh_request import RefreshRequest
from weighbridge.domain.refresh_schedule import due_kind
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.hub_news import HubNews


def _run_name() -> str:
    return f"refresh-hub {flow_run.parameters.get('kind', '')}".strip()


@flow(
    name="refresh-hub",
    flow_run_name=_run_name,
    description="Bring the local catalogue of the Hub up to date.",
    persist_result=False,
)
def refresh_hub(
    kind: RefreshKind = DUE,
    filters: tuple[str, ...] = (),
    limit: int = 0,
    full_every_days: int = 7,
    token_env: str = "",
    token_file: str = "",
    auth_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Bring the local catalogue of the Hub up to date, and tell what changed of watched models.

    A run that was killed is resumed by the next one of its kind, on any worker, at the page where it stood.

    Args:
        kind: `full` for all models, `recent` for what changed since the last refresh, `partial` for the models of
            filters and limit, or `due`: all models where the last full refresh is old, else what changed.
        filters: Tags of the models of a partial refresh, as the Hub's own filter: text-generation, gguf, license:mit.
        limit: The most models of a partial refresh, the most downloaded first; 0 for all.
        full_every_days: For `due`: how many days old the last full refresh may be.
        token_env: Environment variable of the worker that holds the Hub's token; one of its token_places.
        token_file: File of the worker that holds the Hub's token; one of its token_places.
        auth_block: Hub Credentials block, or secret/name; anonymous when all three are empty.
        catalog_block: Catalog Database block to keep the catalogue beside; the worker's own settings when empty.

    Returns:
        Completed with the counts, or Failed with what to do; what was listed until then is kept.
    """
    blocks = settings_blocks("", "", "", catalog_block)
    try:
        with ArtifactProgress("hub") as progress, run_workspace(blocks, progress) as workspace:
            hub, catalog = workspace.resources.hub_catalog, workspace.catalog
            if kind == DUE:
                kind = due_kind(hub.state(), workspace.clock(), timedelta(days=full_every_days))
            request = RefreshRequest.from_json(
                {
                    "kind": kind,
                    "filters": filters,
                    "limit": limit,
                    "token_env": token_env,
                    "token_file": token_file,
                    "auth_block": auth_block,
                }
            )
            try:
                done = refresh_catalogue(request, workspace)
            finally:
                tell_news(catalog)
            digest = HubNews.of(workspace).digest(done)
            watched = catalog.audit.rows(action=MODEL_CHANGED, since=done.begun_at)
    except WeighbridgeError as error:
        return announced(failed(error), [ERROR])
    keep_refresh(digest, watched)
    return announced(refreshed(digest, len(watched)), [NEWS] if watched else [])
