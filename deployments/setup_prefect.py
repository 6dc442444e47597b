"""Sets up the server that PREFECT_API_URL names: what prefect.yaml says, and what it cannot say.

That is the work pools, the block types, an automation, parameters that are closed, and a limit for each device of this
machine. Run it again at any time: what is there already is brought up to date.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL

import blocks
from tasks.device_slots import devices, make_slot

PROJECT = Path(__file__).resolve().parent.parent
#: Work pools: models are taken in by one, measured by the other, whose workers run on machines with devices for it.
POOLS = {"weighbridge": "Weighbridge's flows.", "gpu": "Benchmarks: one a device at a time."}
AUTOMATION = "weighbridge: runs without a heartbeat have crashed"
#: Two heartbeats, the second one late; workers set PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30.
SILENCE = timedelta(seconds=60)
#: Events carry the name of a state.
ENDS = ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Paused")


def make_pools() -> None:
    """Make the work pools whose workers run flows as processes, unless they are there."""
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
    """Have runs whose worker was killed end as Crashed; otherwise they stay Running for ever and hold their place."""
    prefix = "prefect.flow-run"
    wanted = Automation(
        name=AUTOMATION,
        description="A worker that was killed says no more; its runs must not hold places in the pool.",
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
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(AUTOMATION)
    if not found:
        wanted.create()
        return
    wanted.id = found[0].id
    wanted.update()


def deploy() -> None:
    """Deploy what prefect.yaml says. Raises CalledProcessError; Prefect has said why."""
    subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"], cwd=PROJECT, check=True)


def close_parameters() -> tuple[str, ...]:
    """Have the server refuse parameters that a flow does not know (HTTP 409), and return the deployments' names.

    Prefect's own schema leaves them open: a misspelt parameter would only show when the run crashes.
    """
    with get_client(sync_client=True) as client:
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=list(POOLS)))
        found = client.read_deployments(work_pool_filter=pool)
        for deployment in found:
            closed = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
            # The client's model of a schema knows no additionalProperties, so the request is sent as it is.
            client.request(
                "PATCH",
                "/deployments/{id}",
                path_params={"id": deployment.id},
                json={"parameter_openapi_schema": closed},
            )
        flows = {flow.id: flow.name for flow in client.read_flows()}
    return tuple(f"{flows[deployment.flow_id]}/{deployment.name}" for deployment in found)


def main() -> int:
    """Set everything up and say what there is."""
    if not PREFECT_API_URL.value():
        print("Name the server first: export PREFECT_API_URL=http://host:4200/api", file=sys.stderr)  # noqa: T201
        return 64
    make_pools()
    slugs = register_blocks()
    crash_silent_runs()
    deploy()
    names = close_parameters()
    limits = [make_slot(device) for device in devices()]
    print(  # noqa: T201
        f"Work pools {', '.join(POOLS)}; block types {', '.join(slugs)}; automation “{AUTOMATION}”; "
        f"deployments {', '.join(names)}; limits {', '.join(limits)}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
