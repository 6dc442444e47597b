"""Sets up the server of PREFECT_API_URL: the deployments of prefect.yaml, and what that file cannot describe.

That is the work pools, the block types, automations, closed parameters, and a limit for each device of this machine.
Run it again at any time: it updates what exists.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL

import blocks
from tasks.device_slots import devices, make_slot
from weighbridge.errors import InvalidConfiguration, WeighbridgeError

PROJECT = Path(__file__).resolve().parent.parent
#: The work pools: one for taking models in, one for benchmarks, whose workers run on machines with devices.
POOLS = {"weighbridge": "Weighbridge's flows.", "gpu": "Benchmarks: one on each device at a time."}
AUTOMATION = "weighbridge: runs without a heartbeat have crashed"
#: Two heartbeats, the second one late; workers set PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30.
SILENCE = timedelta(seconds=60)
#: The names of states in events in which no process of the run is at work, so that it sends no heartbeat.
ENDS = (
    *("Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Paused"),
    *("Suspended", "Resuming", "Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot", "Late"),
)

#: The news for people, each with its event of flows.announcements.
NEWS = {
    "a model was quarantined": "weighbridge.model.quarantined",
    "a version was withdrawn": "weighbridge.model.withdrawn",
    "a version got worse": "weighbridge.model.regressed",
    "a model was asked for, and a person has to decide": "weighbridge.request.waiting",
    "a request was declined": "weighbridge.request.declined",
    "a watched model is gated or public on the Hub now": "weighbridge.hub.model.gated",
    "a watched model changed its licence": "weighbridge.hub.model.licence",
    "a watched model changed its owner": "weighbridge.hub.model.owner",
    "a watched model was closed by the Hub": "weighbridge.hub.model.disabled",
    "a watched model vanished from the Hub": "weighbridge.hub.model.vanished",
    "a sync failed": "weighbridge.sync.failed",
    "a refresh of the Hub's catalogue failed": "weighbridge.refresh-hub.failed",
    "store or registries differ from the catalog": "weighbridge.fsck.failed",
}
#: The server itself ends a request that nobody answered: the news of it is Prefect's own event, known by its message.
UNANSWERED = "a request was not answered"
_EXPIRED = {
    "prefect.resource.id": "prefect.flow-run.*",
    "prefect.state-message": "The flow was paused and never resumed.",
}
#: A flow that failed is about no model, and its event's resource has no name.
_MESSAGE = 'event.payload.message or event.resource["prefect.state-message"] | default("")'
_MODEL = '(event.payload.model or event.resource["prefect.resource.name"] | default(""))'
_SUBJECT = "{{ event.event }} {{ " + _MODEL + " }}"
_BODY = "{{ " + _MESSAGE + " }}"
_PAYLOAD = (
    '{"event": {{ event.event | tojson }}, '
    '"model": {{ ' + _MODEL + " | tojson }}, "
    '"message": {{ (' + _MESSAGE + ") | tojson }}}"
)


def make_pools() -> None:
    """Create the work pools whose workers run flows as processes, unless they exist."""
    with get_client(sync_client=True) as client:
        for name, description in POOLS.items():
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=name, type="process", description=description))


def register_blocks() -> tuple[str, ...]:
    """Register the block types with their present fields and return their slugs."""
    kinds = [kind for kind in vars(blocks).values() if isinstance(kind, type) and issubclass(kind, Block)]
    for kind in kinds:
        kind.register_type_and_schema()
    return tuple(kind.get_block_type_slug() for kind in kinds)


def crash_silent_runs(ends: Iterable[str] = ENDS) -> None:
    """Create an automation that marks runs of a killed worker as Crashed; they would stay Running and hold a slot."""
    prefix = "prefect.flow-run"
    wanted = Automation(
        name=AUTOMATION,
        description="A killed worker reports nothing more; its runs must not hold slots of the pool.",
        trigger=EventTrigger(
            after={f"{prefix}.heartbeat"},
            expect={f"{prefix}.heartbeat", *(f"{prefix}.{end}" for end in ends)},
            match={"prefect.resource.id": [f"{prefix}.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat: its worker was stopped.")],
    )
    _save(wanted)


def tell(block: str) -> tuple[str, ...]:
    """Create automations that send `NEWS` through a block, and return their names.

    Args:
        block: `type/name` of a notification or webhook block that the server has, such as `slack-webhook/operations`.

    Raises:
        InvalidConfiguration: the server has no such block.
    """
    kind, _, name = block.partition("/")
    with get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(name, kind)
        except ObjectNotFound as error:
            remedy = "Create it in the UI, below Blocks, and name it as TYPE/NAME."
            raise InvalidConfiguration(f"The server has no block {block}.", remedy) from error
    action: CallWebhook | SendNotification = (
        CallWebhook(block_document_id=document.id, payload=_PAYLOAD)
        if kind == Webhook.get_block_type_slug()
        else SendNotification(block_document_id=document.id, subject=_SUBJECT, body=_BODY)
    )
    triggers = {what: _news({event}) for what, event in NEWS.items()}
    triggers[UNANSWERED] = _news({"prefect.flow-run.Failed"}, match=_EXPIRED)
    names = {f"weighbridge: {what}, to {block}": trigger for what, trigger in triggers.items()}
    for automation, trigger in names.items():
        _save(Automation(name=automation, trigger=trigger, actions=[action]))
    return tuple(names)


def _news(expect: set[str], **match: Any) -> EventTrigger:
    """Return a trigger for each single event of some names."""
    return EventTrigger(expect=expect, posture=Posture.Reactive, threshold=1, within=timedelta(0), **match)


def _save(wanted: Automation) -> None:
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(wanted.name)
    if not found:
        wanted.create()
        return
    wanted.id = found[0].id
    wanted.update()


def deploy() -> None:
    """Create the deployments of prefect.yaml. Raises CalledProcessError; Prefect has printed the reason."""
    subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"], cwd=PROJECT, check=True)


def close_parameters() -> tuple[str, ...]:
    """Have the server refuse parameters that a flow does not have (HTTP 409), and return the deployments' names.

    Prefect's own schema allows them: a misspelt parameter would only be noticed when the run crashes.
    """
    with get_client(sync_client=True) as client:
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=list(POOLS)))
        found = client.read_deployments(work_pool_filter=pool)
        for deployment in found:
            closed = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
            # The client's model of a schema has no additionalProperties, so the request is sent directly.
            client.request(
                "PATCH",
                "/deployments/{id}",
                path_params={"id": deployment.id},
                json={"parameter_openapi_schema": closed},
            )
        flows = {flow.id: flow.name for flow in client.read_flows()}
    return tuple(f"{flows[deployment.flow_id]}/{deployment.name}" for deployment in found)


def wait_for_server(url: str, wait_s: float) -> str:
    """Wait for the server; return an empty text when it answers, or the reason why it does not."""
    deadline, said = time.monotonic() + wait_s, False
    while True:
        with get_client(sync_client=True) as client:
            error = client.api_healthcheck()
        if error is None:
            return ""
        if time.monotonic() >= deadline:
            return f"No Prefect server answers at {url}: {error}. Start it with `prefect server start`."
        if not said:
            print(f"Waiting up to {wait_s:.0f} s for the Prefect server at {url}.", file=sys.stderr)  # noqa: T201
            said = True
        time.sleep(1)


def set_up(notify: Iterable[str]) -> str:
    """Set everything up and return a summary."""
    make_pools()
    slugs = register_blocks()
    crash_silent_runs()
    told = [name for block in notify for name in tell(block)]
    deploy()
    names = close_parameters()
    limits = [make_slot(device) for device in devices()]
    automations = ", ".join(f"“{name}”" for name in (AUTOMATION, *told))
    return (
        f"Work pools {', '.join(POOLS)}; block types {', '.join(slugs)}; automations {automations}; "
        f"deployments {', '.join(names)}; limits {', '.join(limits)}."
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Set up the Prefect server that PREFECT_API_URL names.")
    parser.add_argument(
        "--wait", type=float, default=60, metavar="SECONDS", help="the wait for a server that is starting (60)"
    )
    blocks_help = "a block that sends news to people, such as slack-webhook/NAME or webhook/NAME; repeatable"
    parser.add_argument("--notify", action="append", default=[], metavar="TYPE/NAME", help=blocks_help)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the server up and return the exit status; an error is one line."""
    options, url = _options(arguments), PREFECT_API_URL.value()
    if not url:
        return _refuse("Name the server first: export PREFECT_API_URL=http://host:4200/api", 64)
    if why := wait_for_server(url, options.wait):
        return _refuse(why, 1)
    try:
        print(set_up(options.notify))  # noqa: T201
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.UNAUTHORIZED:
            raise
        return _refuse(f"{url} requires a user and a password: export PREFECT_API_AUTH_STRING=user:password", 1)
    except WeighbridgeError as error:
        return _refuse(str(error), 1)
    except subprocess.CalledProcessError:
        return _refuse("`prefect deploy --all` failed; its message is above.", 1)
    return 0


def _refuse(why: str, status: int) -> int:
    print(why, file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
