"""Whether models of the Hub are here, by the repository that they came from, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.catalog.values import CARD, decision, manifest
from tests.hub_entries import COMMIT, LARGE, LLAMA, NOW, QWEN
from weighbridge.catalog import Catalog, JobOrder
from weighbridge.domain.decision import Reason, Verdict
from weighbridge.domain.hub_models import HubModel
from weighbridge.intake.hub_standing import ABSENT, Here, HereState, standings

MODELS = (LLAMA, LARGE, QWEN)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", lambda: NOW) as opened:
        yield opened


def add(catalog: Catalog, model: HubModel, verdict: Verdict = "PASSED", name: str = "", commit: str = COMMIT) -> None:
    """Settle a version that came from the repository of a model."""
    judged = decision(verdict)
    if verdict == "FAILED":
        judged = replace(judged, reasons=(Reason("reject", "clamav.signature", "A virus.", "", ""), *judged.reasons))
    source = f"hf:{model.id}@{commit}"
    numbered = f"1.0.{len(catalog.lists.versions(name or model.id))}"
    catalog.settle_version(name or model.id, source, manifest(f"{commit}{name}"), CARD, judged, (), lambda _: numbered)


def here(catalog: Catalog, model: HubModel = LLAMA) -> Here:
    return standings(MODELS, catalog, NOW)[model.id]


def test_never_asked_for(catalog: Catalog) -> None:
    assert standings(MODELS, catalog, NOW) == {model.id: ABSENT for model in MODELS}
    assert standings((), catalog, NOW) == {}


def test_passed_under_another_name_and_in_other_letters(catalog: Catalog) -> None:
    add(catalog, replace(LLAMA, id=LLAMA.id.lower()), name="llama")
    assert here(catalog) == Here(HereState.PASSED, "llama", "1.0.0", COMMIT, True)
    assert here(catalog, LARGE) == ABSENT


def test_an_older_commit_is_told_apart(catalog: Catalog) -> None:
    add(catalog, LLAMA, commit="a" * 40)
    assert here(catalog).is_current is False
    add(catalog, LLAMA)
    assert (here(catalog).version, here(catalog).is_current) == ("1.0.1", True)


@pytest.mark.parametrize("verdict", ["FAILED", "SKIPPED"])
def test_what_did_not_pass(catalog: Catalog, verdict: Verdict) -> None:
    add(catalog, LLAMA, verdict)
    found = here(catalog)
    assert found.state == {"FAILED": "quarantined", "SKIPPED": "skipped"}[verdict]
    assert found.reason == {"FAILED": "clamav.signature: A virus.", "SKIPPED": ""}[verdict]
    add(catalog, LLAMA, name="another", commit="b" * 40)
    assert here(catalog).state == "passed", "what passed counts before what did not"


def test_withdrawn(catalog: Catalog) -> None:
    add(catalog, LLAMA)
    catalog.withdraw(LLAMA.id, "1.0.0", "recalled by its publisher")
    assert (here(catalog).state, here(catalog).reason) == ("withdrawn", "recalled by its publisher")


def test_a_job_that_waits_takes_it_in(catalog: Catalog) -> None:
    job = catalog.jobs.add(JobOrder("ingest", "other-name", {"uri": f"hf:{LLAMA.id}@main"}, "key:ci"))
    assert here(catalog) == Here(HereState.RUNNING, "other-name", job=job.id)
    catalog.jobs.cancel(job.id)
    assert here(catalog) == ABSENT


def test_an_attempt_of_the_command_line(catalog: Catalog) -> None:
    attempt = catalog.begin_ingest(LLAMA.id, f"hf:{LLAMA.id}")
    assert here(catalog).state == "running"
    dead = standings(MODELS, catalog, NOW + timedelta(days=1))[LLAMA.id]
    assert dead == ABSENT, "a process that died has left it so"
    catalog.update_ingest(attempt, status="ERROR", error="It is gated.")
    assert (here(catalog).state, here(catalog).reason) == ("failed", "It is gated.")


def test_an_attempt_with_another_model_of_the_same_name_says_nothing(catalog: Catalog) -> None:
    catalog.begin_ingest(LLAMA.id, "ollama:llama3.1:8b")
    assert here(catalog) == ABSENT


def test_a_caller_hears_of_models_that_it_may_read(catalog: Catalog) -> None:
    add(catalog, LLAMA, name="secret/llama")
    catalog.jobs.add(JobOrder("ingest", "secret/qwen", {"uri": f"hf:{QWEN.id}"}, "key:ci"))
    catalog.begin_ingest(LARGE.id, f"hf:{LARGE.id}")
    assert {one.state for one in standings(MODELS, catalog, NOW).values()} == {"passed", "running"}
    assert standings(MODELS, catalog, NOW, lambda _: False) == {model.id: ABSENT for model in MODELS}
