"""What a person who decides about a model reads of it: what the Hub says, whether it is gated, and whether it is here.

Not here: how it is shown (request_form), and how it is found out (weighbridge.intake.hub_lookup).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from flows.run_workspace import run_workspace
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.hub_labels import label
from weighbridge.domain.progress import Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.hub import HUGGINGFACE
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.hub_answers import HubDetails
from weighbridge.intake.hub_curated import curated_in
from weighbridge.intake.hub_lookup import HubLookup
from weighbridge.intake.hub_questions import HubQuestions
from weighbridge.intake.workspace import Workspace


def facts_of(uri: str, auth: AuthPlace, blocks: Mapping[str, str], models: str) -> list[tuple[str, str]]:
    """Return what is known of a model, a word and its value each; of one that is not on the Hub, only where it is.

    Where the Hub cannot be asked, or has no such model, that is what is known: the person decides all the same.

    Args:
        uri: of the model.
        auth: where the Hub's token is kept.
        blocks: the run's settings blocks.
        models: the models file.
    """
    ref, source = ModelRef.parse(uri), [("From", uri)]
    if ref.kind != HUGGINGFACE.name:
        return source
    try:
        with run_workspace(blocks, Silent(), models) as workspace:
            return [*source, *_facts(_lookup(workspace, auth, models).show(ref.id))]
    except WeighbridgeError as error:
        return [*source, ("The Hub", str(error))]


def _lookup(workspace: Workspace, auth: AuthPlace, models: str) -> HubLookup:
    curated = curated_in(Path(models))
    return HubLookup(
        catalog=workspace.catalog,
        hub=workspace.resources.hub_catalog,
        endpoint=workspace.settings.endpoint("huggingface"),
        curated=curated,
        questions=partial(HubQuestions, workspace, auth, curated),
        clock=workspace.clock,
    )


def _facts(details: HubDetails) -> list[tuple[str, str]]:
    finding, access = details.finding, details.access
    model, here = finding.entry.model, finding.here
    return [
        ("The Hub", label(model)),
        ("Page", finding.page),
        ("Gated", model.gated.meaning),
        ("Access", access.what_to_do or str(access.state)),
        ("Licence", model.licence or "not said"),
        ("Task", model.pipeline_tag),
        ("Downloads in 30 days", "" if model.downloads is None else f"{model.downloads:,}"),
        ("Here", f"{here.state} as {here.name} {here.version or ''}".strip() if here.name else str(here.state)),
        ("Why", here.reason),
        ("Note", details.note),
    ]
