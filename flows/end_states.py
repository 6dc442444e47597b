"""The end of a run: Prefect's state for an outcome, and the outcome of a state.

| Prefect's state | first word of the message | tag | |
|---|---|---|---|
| Completed | Passed | `verdict:passed` | published |
| Failed | Quarantined | `verdict:quarantined` | the gate rejected the model; it is kept for inspection only |
| Failed | Skipped | `verdict:skipped` | the policy scans nothing, so nothing was published |
| Failed | Declined | `declined` | a person decided against the model, which was not taken in |
| Failed | | `gated` | the source gives the model only to approved accounts; the message has the page |
| Failed | | `error` | the work could not be done; the message has the remedy |

The states have Prefect's own names, as its pages filter by them. A run that did not pass is of the type FAILED although
it did its work: a client that looks only at the type (an n8n node, `run_deployment`, an automation) must never treat a
model that did not pass as one that did. Not here: the tags of a run (announcements).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State, StateType
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # It is exported only for Prefect itself.

from weighbridge.benchmarks.planning import Measurement
from weighbridge.catalog import Catalog
from weighbridge.domain.hub_news import RefreshDigest, digest_text
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.text import shown
from weighbridge.errors import CatalogError, WeighbridgeError
from weighbridge.intake.chain import Outcome
from weighbridge.intake.preloading import Preloaded
from weighbridge.intake.syncing import Failure, Held, SyncReport
from weighbridge.views.text import counted

#: The word for each verdict.
WORDS = {"PASSED": "Passed", "FAILED": "Quarantined", "SKIPPED": "Skipped"}


class EndState(State[Any]):
    """A state whose result is the run's data, also for the type FAILED.

    Prefect's engine reads the result of each run, and that of a FAILED one raises: the log of every rejected model
    would end with forty lines of traceback, which are for bugs only.
    """

    def result(self, *_: Any, **__: Any) -> Any:
        """Return the data, which is an error where the work could not be done."""
        return self.data.result if isinstance(self.data, ResultRecord) else self.data


def end_state(*, good: bool, message: str, data: Any) -> EndState:
    """Return the end state of a run, COMPLETED when `good`; its message is escaped."""
    kind = StateType.COMPLETED if good else StateType.FAILED
    return EndState(type=kind, message=shown(message), data=data)


def ended(outcome: Outcome) -> EndState:
    """Return the state of an ingest that did its work; its data is plain JSON for `outcome_of`."""
    version = outcome.version
    reasons = [reason.message for reason in version.decision.reasons if reason.effect == "reject"]
    told = f" {' '.join(reasons[:3])}" if reasons else ""
    more = f" And {len(reasons) - 3} reasons more." if len(reasons) > 3 else ""
    subject = f"{version.name} {version.version} under the policy {version.decision.policy}"
    message = f"{WORDS[version.status]}: {subject}.{told}{more}"
    return end_state(good=version.status == "PASSED", message=message, data=_summary(outcome))


def _summary(outcome: Outcome) -> dict[str, Any]:
    version = outcome.version
    return {
        "name": version.name,
        "version": version.version,
        "status": version.status,
        "manifest_digest": str(version.manifest.digest),
        "unverified": list(outcome.unverified),
        "dropped": list(outcome.dropped),
        "unchanged": outcome.unchanged,
    }


def synced(done: SyncReport) -> EndState:
    """Return the state of a sync; its data is plain JSON for `sync_report_of`."""
    counts = f"{len(done.unchanged)} unchanged, {len(done.ingested)} ingested, {len(done.failed)} failed"
    names = f": {', '.join(done.rejected[:10])}" if done.rejected else ""
    word = "Failed" if done.failed else WORDS["FAILED" if done.rejected else "PASSED"]
    message = f"{word}: {counts}, {len(done.rejected)} not passed{names}."
    data = {
        "unchanged": list(done.unchanged),
        "ingested": [_summary(outcome) for outcome in done.ingested],
        "failed": [{"name": failure.name, "error": str(failure.error)} for failure in done.failed],
        "held": [held.to_json() for held in done.held],
    }
    return end_state(good=not done.failed and not done.rejected, message=message, data=data)


def measured(
    results: Sequence[tuple[Measurement, BenchmarkResult]], failures: Sequence[tuple[Measurement, str]]
) -> EndState:
    """Return the state of a benchmark run; its data is plain JSON.

    A benchmark that fails on a model has a result that reports the failure. Only a run without any of the requested
    results has failed.
    """
    broken = [f"{wanted.benchmark} of {wanted.model}: {result.failure}" for wanted, result in results if result.failure]
    broken += [f"{wanted.benchmark} of {wanted.model}: {why}" for wanted, why in failures]
    told = f" {' '.join(broken[:3])}" if broken else ""
    more = f" And {len(broken) - 3} more." if len(broken) > 3 else ""
    good = sum(not result.failure for _, result in results)
    if not results and not failures:
        message = "Nothing is new: every requested benchmark has its result."
    else:
        message = f"{good} of {len(results) + len(failures)} measured.{told}{more}"
    data = {
        "results": [
            {
                "model": wanted.model,
                "version": wanted.version,
                "benchmark": result.benchmark,
                "definition": result.definition,
                "manifest_digest": result.manifest_digest,
                "failure": result.failure,
                "noisy": result.noisy,
            }
            for wanted, result in results
        ],
        "failed": [{"model": wanted.model, "benchmark": wanted.benchmark, "error": why} for wanted, why in failures],
    }
    return end_state(good=bool(good) or not broken, message=message, data=data)


def preloaded(done: Sequence[Preloaded]) -> EndState:
    """Return the state of a preload; its data is plain JSON."""
    names = ", ".join(one.repo_id for one in done) or "nothing, for it runs elsewhere"
    return end_state(good=True, message=f"In the cache: {names}.", data={"preloaded": [one.to_json() for one in done]})


def declined(model: str, by: str, reason: str) -> EndState:
    """Return the state of a request that a person declined."""
    message = f"Declined: {model}, by {by}. {reason}".strip()
    return end_state(
        good=False, message=message, data={"name": model, "decision": "decline", "by": by, "reason": reason}
    )


def refreshed(digest: RefreshDigest, watched: int) -> EndState:
    """Return the state of a refresh of the Hub's catalogue; its data is plain JSON."""
    content = digest.to_json()
    news = f" Of watched models: {counted(watched, 'change')}." if watched else ""
    return end_state(good=True, message=f"{digest_text(content)}{news}", data=content | {"watched": watched})


def failed(error: WeighbridgeError) -> EndState:
    """Return the state of a run that could not do its work."""
    return end_state(good=False, message=str(error), data=error)


def result_of(state: State[Any]) -> Any:
    """Return the data of a run of this process.

    Raises:
        WeighbridgeError: the error of the run; or its unexpected end.
    """
    found = state.result(raise_on_failure=False) if state.data is not None else None
    if isinstance(found, WeighbridgeError):
        raise found
    if found is None or isinstance(found, BaseException):
        raise WeighbridgeError(
            f"The run ended as {state.name}: {state.message}", "Its log in Prefect has more."
        ) from found
    return found


def outcome_of(state: State[Any], catalog: Catalog) -> Outcome:
    """Return the outcome of an ingest that ran in this process, with the current version of the catalog.

    Raises:
        WeighbridgeError: the error of the run.
    """
    return _outcome(result_of(state), catalog)


def sync_report_of(state: State[Any], catalog: Catalog) -> SyncReport:
    """Return the report of a sync that ran in this process.

    Raises:
        WeighbridgeError: the error of the run.
    """
    found = result_of(state)
    failures = (Failure(failure["name"], WeighbridgeError(failure["error"])) for failure in found["failed"])
    ingested = (_outcome(summary, catalog) for summary in found["ingested"])
    held = (Held(**one) for one in found["held"])
    return SyncReport(tuple(found["unchanged"]), tuple(ingested), tuple(failures), tuple(held))


def _outcome(found: dict[str, Any], catalog: Catalog) -> Outcome:
    version = catalog.get(found["name"], found["version"])
    if version is None:
        raise CatalogError(
            f"The catalog lost {found['name']} {found['version']}.", "Ingest it again, and see `weighbridge list`."
        )
    return Outcome(version, tuple(found["unverified"]), tuple(found["dropped"]), found["unchanged"])
