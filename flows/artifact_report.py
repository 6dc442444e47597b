"""The artifacts of a run in Prefect: the report, the file table, a link. The facts themselves are in the catalog.

Not here: bars during a run (artifact_progress), or the text of the report (weighbridge.views.markdown).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.exceptions import MissingContextError, PrefectException
from prefect.logging import get_run_logger

from flows.artifact_keys import key
from flows.end_states import WORDS
from weighbridge.config.settings import Settings
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.text import markdown_text, shown
from weighbridge.domain.version import Publication
from weighbridge.intake.auditing import RegistryDifference
from weighbridge.intake.chain import Outcome
from weighbridge.intake.syncing import SyncReport
from weighbridge.store.checking import StoreCheck
from weighbridge.views.markdown import file_rows, markdown
from weighbridge.views.report_rows import sync_rows
from weighbridge.views.text import counted

_log = logging.getLogger(__name__)
#: The most rows of a table: Prefect stores it whole in its database and shows it whole in a browser.
MAX_ROWS = 1000
#: The log level for each status of a model.
_LEVELS = {"PASSED": logging.INFO, "ERROR": logging.ERROR}


def keep_report(outcome: Outcome, settings: Settings) -> None:
    """Write the outcome of an ingest to artifacts of the present flow run."""
    with outcome_stands(outcome.version.name):
        version = outcome.version
        title = shown(f"{version.name} {version.version}: {WORDS[version.status].lower()}")
        create_markdown_artifact(markdown(outcome), key=key("report", version.name), description=title)
        rows = file_rows(version)
        left = f", of which the first {MAX_ROWS:,} are shown" if len(rows) > MAX_ROWS else ""
        create_table_artifact(
            rows[:MAX_ROWS], key=key("files", version.name), description=f"{title}: {len(rows):,} files{left}"
        )
        link = published_link(version.published, settings) or ModelRef.parse(version.source).page
        if link:
            create_link_artifact(link, link_text=markdown_text(title), key=key("link", version.name), description=title)


def keep_request(model: str, text: str) -> None:
    """Write a request for a model to an artifact of the present flow run."""
    with outcome_stands(model):
        create_markdown_artifact(text, key=key("request", model), description=shown(f"{model}: asked for"))


def keep_sync(done: SyncReport) -> None:
    """Write the result of a sync to an artifact, one row for each model that changed, failed or is not passed."""
    rows = [vars(row) | {"why": shown(row.why)} for row in sync_rows(done)]
    description = f"{len(done.unchanged)} unchanged, {len(done.ingested)} ingested, {len(done.failed)} failed"
    with suppress(MissingContextError):  # There is no log outside of a run.
        logger = get_run_logger()
        for row in rows:
            logger.log(_LEVELS.get(row["status"], logging.WARNING), "%s", shown(" ".join(filter(None, row.values()))))
    with outcome_stands("sync"):
        create_table_artifact(rows[:MAX_ROWS], key="sync", description=description)


def keep_check(found: StoreCheck, differences: Sequence[RegistryDifference]) -> None:
    """Write the result of a check of store and registries to an artifact, one row for each difference."""
    rows = [{"where": "store", "what": f"{one.digest} is damaged"} for one in found.damaged]
    rows += [{"where": "store", "what": f"{digest} is missing"} for digest in found.missing]
    rows += [
        {"where": f"{one.registry} at {one.address}", "what": shown(f"{one.model} {one.what}".strip())}
        for one in differences
    ]
    with outcome_stands("fsck"):
        create_table_artifact(
            rows[:MAX_ROWS],
            key="fsck",
            description=f"{counted(found.blobs, 'blob')}, {counted(len(rows), 'difference')}",
        )


@contextmanager
def outcome_stands(about: str) -> Iterator[None]:
    """Log an error that keeps an artifact from being written: the work is done, and the catalog has its facts."""
    try:
        yield
    except (PrefectException, httpx.HTTPError):
        _log.warning("an artifact was not written", extra={"about": about}, exc_info=True)


def published_link(published: Iterable[Publication], settings: Settings) -> str:
    """Return the address of the first publication that a browser can open, without credentials; or empty.

    A folder has none: no browser opens one from a page of a server, on any machine.
    """
    for found in published:
        if found.registry == "mlflow" and settings.mlflow_tracking_uri:
            parts = urlsplit(settings.mlflow_tracking_uri)
            host = parts.netloc.rpartition("@")[2]
            _, name, number = found.location.rsplit("/", 2)
            page = f"/models/{quote(name, safe='')}/versions/{number}"
            return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", page))
    return ""
