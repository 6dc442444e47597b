"""The announcements of a run when it ends: tags, by which pages filter, and events, which trigger automations.

The server uses the tags that a run began with for all events of its states, so automations have events of their own.
Not here: the state in which a run ends (end_states).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource, Resource
from prefect.runtime import flow_run

from flows.artifact_report import outcome_stands
from flows.end_states import EndState
from weighbridge.catalog import Catalog
from weighbridge.intake.chain import Outcome
from weighbridge.intake.syncing import SyncReport

ERROR, WITHDRAWN, REGRESSED = "error", "withdrawn", "regressed"
#: Of a refresh of the Hub's catalogue: watched models changed.
NEWS = "news"
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
        with outcome_stands("tags"), get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), tags=[*dict.fromkeys((*flow_run.tags, *wanted))])
        with outcome_stands("events"):
            send([_event(tag, model, state.message or "") for model, tag in about])
    return state


def request_event(word: str, model: str, message: str) -> None:
    """Send the event `weighbridge.request.<word>` about the present run's request, even if the server refuses it.

    A run that is begun anew sends the same one again, which the server takes as one it has.
    """
    if flow_run.id:
        with outcome_stands("events"):
            id_ = uuid5(UUID(flow_run.id), f"request.{word}")
            payload = {"model": model, "message": message, "page": str(flow_run.ui_url or "")}
            send([event(f"weighbridge.request.{word}", f"weighbridge.model.{model}", payload, id_)])


def send(events: Iterable[Event]) -> None:
    """Send events to the server. Raises PrefectException or httpx.HTTPError where it does not take them."""
    if content := [one.model_dump(mode="json") for one in events]:
        post_events(content)


def post_events(content: Sequence[Mapping[str, Any]]) -> None:
    """Send events that are JSON. Raises as `send`."""
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=content).raise_for_status()


def event(name: str, about: str, payload: Mapping[str, Any], id_: UUID | None = None) -> Event:
    """Return an event of the present run.

    Args:
        name: of the event.
        about: the id of the resource that it is about.
        payload: what it says; plain JSON.
        id_: by which the server knows an event that it has; a new one where None.
    """
    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}
    named: dict[str, Any] = {} if id_ is None else {"id": id_}
    return Event(
        event=name,
        resource=Resource.model_validate({"prefect.resource.id": about}),
        related=[RelatedResource.model_validate(run)],
        payload=dict(payload),
        **named,
    )


def _event(tag: str, model: str, message: str) -> Event:
    """Return the event `weighbridge.model.<word>` of a model, or `weighbridge.<flow>.failed` without one."""
    flow = str(flow_run.flow_name)
    about = f"model.{model}" if model else f"flow.{flow}"
    name = f"model.{tag.rpartition(':')[2]}" if model else f"{flow}.failed"
    return event(f"weighbridge.{name}", f"weighbridge.{about}", {"model": model, "message": message})


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
