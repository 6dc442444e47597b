"""`weighbridge hub`: the Hub's models as a user sees them, on a terminal, in a pipe, and in files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta

import pyarrow.parquet
import pytest

from tests.cli.conftest import Bench
from tests.hub_entries import LARGE, LINES, LLAMA, NOW, QWEN, fill, listed
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import GeneratedModels
from weighbridge.catalog.hub_models import HubCatalog


@pytest.fixture(scope="module")
def simulator() -> Iterator[HubList]:
    with HubList(GeneratedModels(40)) as running:
        yield running


@pytest.fixture
def hub(bench: Bench) -> Iterator[HubCatalog]:
    """Yield the catalogue of a user, with the three models of the specification."""
    bench.home.mkdir()
    with HubCatalog.open(f"sqlite:///{bench.home}/catalog.db") as opened:
        fill(opened, age=timedelta(hours=2))
        yield opened


def searched(bench: Bench, *arguments: str) -> list[str]:
    ran = bench.run("hub", "search", *arguments)
    assert ran.status == 0, ran.err
    return ran.out.splitlines()


def test_each_line_is_as_the_specification_displays_it(bench: Bench, hub: HubCatalog) -> None:
    assert tuple(searched(bench, "instruct", "--filter", "text-generation")) == LINES
    assert searched(bench, "instruct", "--icons") == [
        "[LOCK] meta-llama/Llama-3.1-8B-Instruct (16GB, 8B)",
        "[KEY] meta-llama/Llama-3.1-405B-Instruct (810GB, 405B)",
        "      Qwen/Qwen2.5-1.5B-Instruct (4GB, 1.5B)",
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--sort", "downloads", "--max-vram", "16", "--gated", "no"), [QWEN]),
        (("--max-vram", "16GB"), [LLAMA, QWEN]),
        (("--max-vram", "15.9"), [QWEN]),
        (("--gated", "yes"), [LLAMA, LARGE]),
        (("--gated", "auto", "--gated", "no"), [LLAMA, QWEN]),
        (("--gated", "manual"), [LARGE]),
        (("--author", "meta-llama", "--max-params", "70B"), [LLAMA]),
        (("--licence", "apache-2.0"), [QWEN]),
        (("--sort", "id", "--ascending"), [LARGE, LLAMA, QWEN]),
        (("--library", "gguf"), []),
        (("llama 3.1 405b",), [LARGE]),
    ],
)
def test_filters_and_orders(bench: Bench, hub: HubCatalog, options: tuple[str, ...], found: list[object]) -> None:
    names = [line.partition(" ")[0] for line in searched(bench, *options, "--offline", "--no-curated")]
    expected = [model.id for model in (LLAMA, LARGE, QWEN) if model in found]
    assert sorted(names) == sorted(expected)


def test_a_pipe_has_models_alone_and_stderr_says_how_old_they_are(bench: Bench, hub: HubCatalog) -> None:
    ran = bench.run("hub", "search", "instruct", "--limit", "2")
    assert ran.out.splitlines() == list(LINES[:2])
    assert "3 models, as of 2026-11-28 10:00 UTC" in ran.err
    cursor = ran.err.partition("--cursor ")[2].strip()
    assert searched(bench, "instruct", "--cursor", cursor) == [LINES[2]]
    assert bench.run("-q", "hub", "search", "instruct").err == ""


def test_json_and_csv(bench: Bench, hub: HubCatalog) -> None:
    found = bench.run("hub", "search", "instruct", "--json").json
    assert [one["label"] for one in found] == list(LINES)
    assert {one["schema"] for one in found} == {"weighbridge.hub-model/1"}
    assert [one["gated"] for one in found] == ["auto", "manual", False]
    assert bench.run("hub", "search", "nothing-like-this", "--json", "--offline").json == []
    rows = list(csv.DictReader(io.StringIO(bench.run("hub", "search", "instruct", "--csv").out)))
    assert [(row["id"], row["vram"], row["here"]) for row in rows] == [
        (LLAMA.id, "16GB", "absent"),
        (LARGE.id, "810GB", "absent"),
        (QWEN.id, "4GB", "absent"),
    ]


def test_all_and_a_limit_beyond_one_part(bench: Bench, hub: HubCatalog) -> None:
    fill(hub, [listed(f"many/model-{number:04}", downloads=number) for number in range(1203)])
    assert len(searched(bench, "--author", "many", "--all")) == 1203
    assert len(searched(bench, "--author", "many", "--limit", "700")) == 700
    assert len(bench.run("hub", "search", "--author", "many", "--all", "--json").json) == 1203


def test_without_words_the_models_of_models_yaml_are_listed(bench: Bench, hub: HubCatalog) -> None:
    assert tuple(searched(bench)) == LINES, "without a models.yaml it is every model"
    (bench.folder / "models.yaml").write_text(f"models:\n- hf_repo_id: {QWEN.id}\n- hf_repo_id: org/new-7B\n")
    assert searched(bench, "--offline") == [
        f"{LINES[2]}  in models.yaml",
        "org/new-7B (14GB, 7B) [Unknown]  in models.yaml",
    ]
    assert tuple(searched(bench, "--no-curated"))[:2] == LINES[:2]


def test_show_says_what_stands_before_the_files_and_how_they_are_taken_in(bench: Bench, hub: HubCatalog) -> None:
    for name in (LARGE.id, f"hf:{LARGE.id}", f"https://huggingface.co/{LARGE.id}/tree/main", LARGE.id.lower()):
        ran = bench.run("hub", "show", name, "--offline")
        assert ran.status == 0, ran.err
        assert ran.out.splitlines()[0] == LINES[1]
        assert f"weighbridge ingest hf:{LARGE.id}" in ran.out
        assert "Approval Required" in ran.out
        assert "never asked for" in ran.out
    found = bench.run("hub", "show", LARGE.id, "--offline", "--json").json
    assert (found["schema"], found["import"]) == ("weighbridge.hub-model/1", {"uri": f"hf:{LARGE.id}"})


def test_show_says_what_was_taken_in(bench: Bench, hub: HubCatalog) -> None:
    assert bench.run("ingest", bench.model(), "--name", QWEN.id).status == 0
    assert "never asked for" in bench.run("hub", "show", QWEN.id, "--offline").out, "it came from somewhere else"


def test_what_no_model_can_be_called(bench: Bench, hub: HubCatalog) -> None:
    ran = bench.run("hub", "show", "org/a/b/c\x1b[31m")
    assert (ran.status, "\x1b" in ran.err) == (64, False)
    assert bench.run("hub", "search", "--gated", "perhaps").status == 64
    assert bench.run("hub", "search", "--max-vram", "big").status == 64
    assert bench.run("hub", "search", "--cursor", "nonsense").status == 64


def test_an_unknown_model_offline(bench: Bench, hub: HubCatalog) -> None:
    ran = bench.run("hub", "show", "org/none", "--offline", "--json")
    assert (ran.status, ran.json["error"]["kind"]) == (64, "NotInCatalog")


def test_an_empty_catalogue_says_what_fills_it(bench: Bench) -> None:
    ran = bench.run("hub", "search", "instruct", "--offline")
    assert (ran.status, ran.out) == (0, "")
    assert "`weighbridge hub refresh` fills it" in ran.err
    assert "is empty" in bench.run("hub", "status").out


def test_the_hub_itself_is_asked_for_what_is_not_known(
    bench: Bench, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", simulator.url)
    wanted = simulator.models.id(20)
    shown = bench.run("hub", "show", wanted, "--json").json
    assert (shown["id"], shown["catalogue"]["answered_by"]) == (wanted, "hub")
    assert shown["page"] == f"{simulator.url}/{wanted}"
    assert bench.run("hub", "show", wanted, "--offline").status == 0
    live = bench.run("hub", "search", "--live", "--limit", "5")
    assert len(live.out.splitlines()) == 5
    assert "The Hub itself has answered" in live.err


def test_a_refresh_fills_the_catalogue_and_changes_are_listed(
    bench: Bench, simulator: HubList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", simulator.url)
    ran = bench.run("hub", "refresh", "--json")
    assert (ran.status, ran.json["kind"], ran.json["models"]) == (0, "full", 40), ran.err
    assert set(LINES) <= set(searched(bench, "--all", "--offline"))
    simulator.models.change(2, gated="manual")
    try:
        assert bench.run("hub", "refresh").status == 0
    finally:
        simulator.models.change(2, gated=False)
    (change,) = bench.run("hub", "changes", "--field", "gated", "--json").json
    assert {name: change[name] for name in ("id", "field", "before", "after")} == {
        "id": QWEN.id,
        "field": "gated",
        "before": "no",
        "after": "manual",
    }
    status = bench.run("hub", "status", "--json").json
    assert (status["models"], status["full"]["number"]) == (40, 2)
    assert "manual" in bench.run("hub", "changes").out


def test_refreshes_that_contradict_themselves(bench: Bench) -> None:
    ran = bench.run("hub", "refresh", "--recent", "--filter", "gguf")
    assert (ran.status, "--recent is about all models" in ran.err) == (64, True)


def test_export_to_files_and_to_a_pipe(bench: Bench, hub: HubCatalog) -> None:
    ran = bench.run("hub", "export", "models.parquet", "--json")
    assert (ran.json["models"], ran.json["schema"]) == (3, "weighbridge.hub-export/1")
    table = pyarrow.parquet.read_table(bench.folder / "models.parquet")
    assert sorted(table.column("id").to_pylist()) == sorted(model.id for model in (LLAMA, LARGE, QWEN))
    assert bench.run("hub", "export", "small.csv", "--max-vram", "4").status == 0
    assert (bench.folder / "small.csv").read_text().count("\n") == 2
    assert bench.run("hub", "export", "-").out.count("\n") == 4
    assert bench.run("hub", "export", "models.xlsx").status == 64
    assert bench.run("hub", "export", "no/such/folder.csv").status == 64


def test_a_hostile_name_reaches_no_terminal(bench: Bench, hub: HubCatalog) -> None:
    hostile = listed("evil/x\x1b[2J\u202e", tags=("=cmd|' /C calc'!A0",))
    hub.remember([hostile], NOW)
    ran = bench.run("hub", "search", "evil", "--offline", "--no-curated")
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "\x1b" not in bench.run("hub", "search", "evil", "--offline", "--json").out
