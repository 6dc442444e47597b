"""The workspace of a run: opened from the worker's settings and the run's blocks, shared with its subflows.

A run is on behalf of others unless its process has entered `own_requests`, which a worker never does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path

from prefect.runtime import flow_run

from blocks import load_block, load_settings
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Progress, Several, Silent
from weighbridge.intake.workspace import Workspace, open_workspace
from weighbridge.net.auth import Auth
from weighbridge.net.on_behalf import is_operators
from weighbridge.system.claimed_folders import gather_temporary_files, remove_temporary_files

#: The workspace of the run that a subflow belongs to: a second one would start a second clamd.
_shared: ContextVar[Workspace | None] = ContextVar("workspace", default=None)
#: The progress of a run that this very process asked for; None for a run of others.
_own: ContextVar[Progress | None] = ContextVar("own", default=None)


def run_actor() -> str:
    """Return the present flow run as the actor of its changes, `flow:NAME`."""
    return f"flow:{flow_run.flow_name}"


def run_url() -> str:
    """Return the page of the present flow run; empty where the server ends with this process."""
    return str(flow_run.ui_url) if os.environ.get("PREFECT_API_URL") else ""


@contextmanager
def own_requests(watching: Progress | None = None) -> Iterator[None]:
    """Treat runs in the context as requests of this process's own user, and report their progress."""
    token = _own.set(watching or Silent())
    try:
        yield
    finally:
        _own.reset(token)


def settings_blocks(mlflow: str, clamav: str, store: str, catalog: str) -> dict[str, str]:
    """Return the names of a run's settings blocks, by block type."""
    return {
        "mlflow-server": mlflow,
        "clamav-daemon": clamav,
        "blob-store-folder": store,
        "catalog-database": catalog,
    }


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Give a process that Prefect started for one run a folder for its temporary files, removed with the process.

    A cancelled one may be ended by a signal, without the clean-up at its exit, so the folder is removed before.
    """
    if "PREFECT__FLOW_RUN_ID" not in os.environ:
        yield
        return
    gather_temporary_files()
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception):
            remove_temporary_files()
        raise


@contextmanager
def run_workspace(blocks: Mapping[str, str], progress: Progress, models: str = "") -> Iterator[Workspace]:
    """Open a workspace for the present flow run, or lend a subflow the one of its parent.

    Args:
        blocks: the name for each type of settings block; an empty name means none.
        progress: receives the progress of each step in this context.
        models: the file with the wanted models, or empty where the run's parameters name them.

    Raises:
        InvalidConfiguration: a block cannot be loaded.
        ScannerUnavailable, CatalogError, StoreError: a part cannot be opened.
    """
    lent, own = _shared.get(), _own.get()
    if own is not None:
        progress = Several(progress, own)
    if lent is not None:
        yield lent.heard_by(progress, run_url())  # Several runs may use it in parallel.
        return
    context = copy_context()

    def load(name: str, kind: str) -> Auth:
        # Sources are opened in plain threads, which have no context with this run's server.
        return context.copy().run(load_block, name, kind)

    settings = Settings(**load_settings(blocks))
    vouched = bool(models) and is_operators(Path(models), Path.cwd())
    actor, url = run_actor() if own is None else "", run_url()
    with (
        own_temporary_files(),
        open_workspace(
            settings,
            progress=progress,
            load_block=load,
            on_behalf=own is None,
            vouched=vouched,
            actor=actor,
            run_url=url,
        ) as workspace,
    ):
        token = _shared.set(workspace)
        try:
            yield workspace
        finally:
            _shared.reset(token)
