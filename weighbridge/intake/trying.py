"""Trying: a version that passed, laid out for as long as one question to it takes.

Not here: how a model is asked (handlers.trial).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from weighbridge.benchmarks.running import handler_options, laid_out
from weighbridge.errors import UsageError
from weighbridge.handlers.choosing import handler_of
from weighbridge.handlers.trial import Trial
from weighbridge.intake.lookup import entry_named, find_of
from weighbridge.intake.workspace import Workspace


@contextmanager
def laid_out_trial(
    name: str, models: str, handler: str, asked: Mapping[str, Any], workspace: Workspace
) -> Iterator[Trial]:
    """Yield what a model is asked; its files are in a folder of their own meanwhile, unless it runs elsewhere.

    Args:
        name: NAME or NAME@VERSION, of the catalog or of models.yaml.
        models: the models file, if there is one.
        handler: path of the handler's class; that of models.yaml or of the model's task when empty.
        asked: the fields of a `Trial` that the asker chose.
        workspace: what it is done with.

    Raises:
        UsageError: there is no such model, or it runs elsewhere and names no handler.
        RegistryError: it did not pass.
        IntegrityError: a blob is damaged, or was changed while the model ran.
    """
    entry = entry_named(workspace.entries(models, optional=True), name.partition("@")[0])
    handler = handler or (entry.handler if entry else "")
    options = {"name": entry.key if entry else name.partition("@")[0], **handler_options(entry)}
    if entry is not None and entry.skip_download:
        if not handler:
            raise UsageError(f"{entry.key} runs elsewhere and names no handler.", "Name one, such as UpstreamChat.")
        yield Trial(handler, entry.hf_repo_id or entry.key, options=options, **asked)
        return
    version = find_of(workspace.catalog, name, entry)
    loading = workspace.loading(entry.policy if entry else "")
    options |= loading.options(version, workspace.clock().date())
    with laid_out(version, workspace.store, workspace.progress) as folder:
        yield Trial(handler or handler_of(version.name, version.card), str(folder), options=options, **asked)
