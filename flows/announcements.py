"""The announcements of a run when it ends: tags, by which pages filter, and events, which trigger automations.

The server uses the tags that a run began with for all events of its states, so automations have events of their own.
Not here: the state in which a run ends (end_states).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource, Resource
from prefect.runtime import flow_run

from flows.artifact_report import outcome_stands
from flows.end_states import EndState
from weighbridge.catalog import Catalog
from weighbridge.intake.chain import Outcome
from weighbridge.intake.syncing import SyncReport

ERROR, WITHDRAWN, REGRESSED = "error", "withdrawn", "regressed"
VERDICTS = {"PASSED": "verdict:passed", "FAILED": "verdict:quarantined", "SKIPPED": "verdict:skipped"}
#: For each event of a version in the catalog's log, the tag of a run in which it occurred.
_OF_LOG = {"version.withdrawn": WITHDRAWN, "version.unpublished": WITHDRAWN, "version.regressed": REGRESSED}


def announced(
    state: EndState, tags: Iterable[str] = (), of_models: Mapping[str, Iterable[str]] | None = None
) -> EndState:
    """Add tags to the present flow run, send its events, and return the state, even if the server refuses them.

    Args:
        state: the state in which the run ends; its message is the events' payload.
        tags: tags of this module for the run as a whole; of them only `error` is an event.
        of_models: further tags by model; each is an event.
    """
    about = [(model, tag) for model, own in (of_models or {}).items() for tag in dict.fromkeys(own)]
    wanted = tuple(dict.fromkeys((*tags, *(tag for _, tag in about))))
    if wanted and flow_run.id:
        about += [("", ERROR)] if ERROR in wanted else []
        events = [_event(tag, model, state.message or "") for model, tag in about]
        with outcome_stands("tags and events"), get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), tags=[*dict.fromkeys((*flow_run.tags, *wanted))])
            sent = [event.model_dump(mode="json") for event in events]
            client.request("POST", "/events", json=sent).raise_for_status()
    return state


def _event(tag: str, model: str, message: str) -> Event:
    """Return the event `weighbridge.model.<word>` of a model, or `weighbridge.<flow>.failed` without one."""
    flow = str(flow_run.flow_name)
    about = f"model.{model}" if model else f"flow.{flow}"
    event = f"model.{tag.rpartition(':')[2]}" if model else f"{flow}.failed"
    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}
    return Event(
        event=f"weighbridge.{event}",
        resource=Resource.model_validate({"prefect.resource.id": f"weighbridge.{about}"}),
        related=[RelatedResource.model_validate(run)],
        payload={"model": model, "message": message},
    )


def outcome_tags(outcome: Outcome, catalog: Catalog, since: datetime) -> dict[str, tuple[str, ...]]:
    """Return the model of an ingest with its verdict, and with `withdrawn` where its version was loadable until now."""
    version = outcome.version
    logged = log_tags(catalog, [f"{version.name}@{version.version}"], since)
    return {version.name: (VERDICTS[version.status], *logged.get(version.name, ()))}


def sync_tags(done: SyncReport) -> tuple[str, ...]:
    """Return the verdicts of all models of a sync, and `error` where the ingest of one failed."""
    statuses = [*(outcome.version.status for outcome in done.ingested), *(held.status for held in done.held)]
    verdicts = [VERDICTS[status] for status in statuses if status in VERDICTS]
    return (*(verdicts or [VERDICTS["PASSED"]]), *([ERROR] if done.failed else []))


def log_tags(catalog: Catalog, subjects: Iterable[str], since: datetime) -> dict[str, tuple[str, ...]]:
    """Return the models of the versions, `name@version`, that have events in the catalog's log since a time.

    Each model has the tags of its events, each tag once.
    """
    tags: dict[str, tuple[str, ...]] = {}
    for subject in dict.fromkeys(subjects):
        model = subject.rpartition("@")[0]
        rows = (row for action in _OF_LOG for row in catalog.audit.rows(object_=subject, action=action))
        found = [_OF_LOG[row.action] for row in rows if row.at >= since]
        if found:
            tags[model] = tuple(dict.fromkeys((*tags.get(model, ()), *found)))
    return tags
