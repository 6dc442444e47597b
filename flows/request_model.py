"""The flow `request_model`: a person asks for a model, another person decides, and then it is taken in and measured.

Between question and answer the run is suspended: no process and no place of a deployment waits. The worker that resumes
it runs the flow from its beginning, which skips what comes before the answer.
Not here: what the form shows and what the answer holds (request_form), and the ingest itself (ingest).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.flow_runs import suspend_flow_run
from prefect.runtime import flow_run

from flows.announcements import ERROR, VERDICTS, announced, request_event
from flows.artifact_report import keep_request
from flows.end_states import EndState, declined, end_state, failed, result_of
from flows.ingest import ingest
from flows.parameter_types import URI, BenchmarkOrDefault, Name, Policy
from flows.request_facts import facts_of
from flows.request_form import Days, RequestAnswer, request_text
from flows.run_workspace import settings_blocks
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import MODELS_FILE
from weighbridge.errors import AccessDenied, UsageError, WeighbridgeError

#: The key of the suspension: the server has it in its list of those that a run was in.
APPROVAL = "approval"
#: Tags of a run, and the last words of its event `weighbridge.request.…`.
WAITING, DECLINED, GATED = "waiting", "declined", "gated"


def _run_name() -> str:
    """Return the name of a run, that of its model; an invalid URI is not shown, as it may hold a password."""
    parameters = flow_run.parameters
    try:
        return f"request {parameters.get('name') or ModelRef.parse(parameters['uri']).name}"
    except UsageError:
        return "unreadable URI"


def _is_resumed() -> bool:
    """Return whether the present run was suspended before, and is now resumed."""
    context = FlowRunContext.get()
    policy = context.flow_run.empirical_policy if context and context.flow_run else None
    return policy is not None and APPROVAL in (policy.pause_keys or ())


@flow(
    name="request-model",
    flow_run_name=_run_name,
    description="Ask for a model; once a person approves, it is taken in and measured.",
    persist_result=False,
)
def request_model(
    uri: URI,
    name: Name = "",
    policy: Policy = "",
    benchmarks: tuple[BenchmarkOrDefault, ...] = ("default",),
    asked_by: str = "",
    reason: str = "",
    days: Days = 14,
    models: str = MODELS_FILE,
    token_env: str = "",
    token_file: str = "",
    auth_block: str = "",
    mlflow_block: str = "",
    clamav_block: str = "",
    store_block: str = "",
    catalog_block: str = "",
) -> State[Any]:
    """Ask for a model.

    The run waits as Suspended until a person answers, with the button Resume or by POST /flow_runs/{id}/resume.

    Args:
        uri: Where the model is, as for the flow ingest: hf:org/name@rev, ollama:llama2:7b, s3://bucket/prefix, …
        name: The model's name here; the source's own name when empty.
        policy: A preset, or a file in the worker's working directory; the worker's own policy when empty.
        benchmarks: The benchmarks to run after it passed: names, or `default` for those of models.yaml or of its task;
            none when empty.
        asked_by: Who asks, for the person who decides.
        reason: Why, for the person who decides.
        days: For how many days the request waits; unanswered, it ends as Failed.
        models: The models file, in the worker's working directory.
        token_env: Environment variable of the worker that holds the source's token; one of its token_places.
        token_file: File of the worker that holds the source's token; one of its token_places.
        auth_block: Credentials block of the source's kind, such as Hub Credentials; or type/name, or secret/name.
        mlflow_block: MLflow Server block to publish to; the worker's own settings when empty.
        clamav_block: ClamAV Daemon block to scan with; the worker's own settings when empty.
        store_block: Blob Store Folder block to keep blobs in; the worker's own settings when empty.
        catalog_block: Catalog Database block to keep facts in; the worker's own settings when empty.

    Returns:
        One of the states of `flows.end_states`.
    """
    blocks = {
        "mlflow_block": mlflow_block,
        "clamav_block": clamav_block,
        "store_block": store_block,
        "catalog_block": catalog_block,
    }
    auth = {"token_env": token_env, "token_file": token_file, "auth_block": auth_block}

    def facts() -> list[tuple[str, str]]:
        settings = settings_blocks(mlflow_block, clamav_block, store_block, catalog_block)
        return facts_of(uri, AuthPlace(token_env, token_file, auth_block), settings, models)

    model = name
    try:
        model = name or ModelRef.parse(uri).name
        answer = _answer(model, asked_by, days, lambda: request_text(model, asked_by, reason, facts()))
        if answer.decision == "decline":
            return _ended(declined(model, answer.by, answer.reason), DECLINED, model)
        request = {"uri": uri, "name": name, "policy": policy, "benchmarks": benchmarks, "models": models}
        state = ingest(**request, **auth, **blocks, return_state=True)
        summary = result_of(state)
    except WeighbridgeError as error:
        # Only the refusal of a gated repository names a page.
        gated = isinstance(error, AccessDenied) and "page" in error.facts
        return _ended(failed(error), GATED if gated else ERROR, model)
    message = f"{state.message} Approved by {answer.by}."
    done = end_state(good=state.is_completed(), message=message, data=summary | {"by": answer.by})
    return _ended(done, VERDICTS[summary["status"]], model)


def _answer(model: str, asked_by: str, days: int, text: Callable[[], str]) -> RequestAnswer:
    """Return the answer to the present run's request; without one, ask, and end this process until there is one."""
    form = RequestAnswer
    if not _is_resumed():
        asked = text()
        keep_request(model, asked)
        form = RequestAnswer.with_initial_data(description=asked)
        # After a heartbeat that arrives later than the event of the suspension, the run would be marked as Crashed.
        EventsWorker.instance().wait_until_empty()
        request_event(WAITING, model, f"{asked_by or 'Somebody'} asks for {model}. Answer at {flow_run.ui_url}")
    return suspend_flow_run(form, timeout=round(timedelta(days=days).total_seconds()), key=APPROVAL)


def _ended(state: EndState, tag: str, model: str) -> EndState:
    request_event("failed" if tag == ERROR else tag.rpartition(":")[2], model, state.message or "")
    return announced(state, [tag])
