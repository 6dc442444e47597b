"""The tasks: one for every step, none cached or kept, tried again only where that may help."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Failed

from tasks import TASKS
from tasks.failing import attempt, may_succeed_later
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import ModelNotFound, WeighbridgeError
from weighbridge.intake import chain
from weighbridge.intake.job import Job
from weighbridge.intake.workspace import open_workspace

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
BY_NAME = {found.name: found for found in TASKS.values()}


def kinds(kind: type[WeighbridgeError]) -> list[type[WeighbridgeError]]:
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in kinds(sub))]


def test_every_step_of_the_chain_has_a_task() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(chain))) if isinstance(node, ast.Call)]
    run = {
        ast.unparse(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func) in ("runner.call", "runner.submit")
    }
    assert {f"steps.{step.__name__}" for step in TASKS} == run
    assert len(run) == 7


@pytest.mark.parametrize("step", TASKS, ids=lambda step: step.__name__)
def test_a_task_takes_what_its_step_takes(step: Any) -> None:
    found = inspect.signature(TASKS[step].fn)
    assert list(found.parameters) == list(inspect.signature(step).parameters)
    assert found.return_annotation == inspect.signature(step).return_annotation


@pytest.mark.parametrize("found", TASKS.values(), ids=lambda found: found.name)
def test_nothing_is_cached_or_kept(found: Task[..., Any]) -> None:
    assert found.cache_policy == NO_CACHE
    assert found.persist_result is False
    assert found.retries == 2
    assert found.retry_jitter_factor
    assert found.retry_condition_fn is may_succeed_later


@pytest.mark.parametrize("kind", kinds(WeighbridgeError), ids=lambda kind: kind.__name__)
def test_an_error_says_itself_whether_to_try_again(kind: type[WeighbridgeError]) -> None:
    run = TaskRun(task_key="t", dynamic_key="0", flow_run_id=uuid4())
    state: State[Any] = Failed(data=kind("It did not work."))
    assert may_succeed_later(BY_NAME["fetch"], run, state) is kind.retryable


def test_a_bug_is_not_tried_again() -> None:
    run = TaskRun(task_key="t", dynamic_key="0", flow_run_id=uuid4())
    assert not may_succeed_later(BY_NAME["fetch"], run, Failed(data=ValueError("a bug")))


def test_a_failure_is_one_paragraph_and_a_bug_is_raised() -> None:
    def missing() -> None:
        raise ModelNotFound("There is no model.", "Check the name.")

    def bug() -> None:
        raise ZeroDivisionError

    state: Any = attempt(missing)
    assert state.message == "There is no model. Check the name."
    assert isinstance(state.data, ModelNotFound)
    with pytest.raises(ZeroDivisionError):
        attempt(bug)


def test_unavailable_is_retryable_and_missing_is_not() -> None:
    """Guards the two tests above against an error tree in which nothing is retryable."""
    retryable = {kind.__name__ for kind in kinds(WeighbridgeError) if kind.retryable}
    assert {"SourceUnavailable", "ScannerUnavailable", "CatalogUnavailable", "RegistryUnavailable"} <= retryable
    assert not {"ModelNotFound", "IntegrityError", "AccessDenied", "StoreFull", "UsageError"} & retryable


def test_a_job_shows_no_secret(tmp_path: Path) -> None:
    """Task runs are named after a job, and a log may quote one."""
    (tmp_path / "token").write_text("hunter2")
    auth = AuthPlace(token_file=str(tmp_path / "token"))
    request = IngestRequest(ModelRef.parse("https://example.org/model.gguf"), auth=auth)
    with open_workspace(Settings(home=tmp_path / "home"), folder=tmp_path) as workspace:
        job = Job.of(request, workspace)
        names = [found.task_run_name for found in TASKS.values() if isinstance(found.task_run_name, str)]
        told = [repr(job), str(job), *(name.format(job=job) for name in names)]
    assert "model" in told[-1]
    assert not [text for text in told if "hunter2" in text]
