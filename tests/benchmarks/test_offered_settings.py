"""A new setting is one edit: what commands and flows offer is made of the fields."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Annotated, Any

import pytest
import typer
from pydantic import Field
from pydantic.dataclasses import dataclass
from typer.testing import CliRunner

from weighbridge.benchmarks import offered_settings as module
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.offered_settings import offered_settings, taking
from weighbridge.cli.benchmark_options import as_option
from weighbridge.errors import InvalidConfiguration


@dataclass(frozen=True)
class Extended(BenchmarkSettings):
    """The settings of a later day."""

    beams: Annotated[int, Field(description="Beams of each search.", ge=1, json_schema_extra={"flag": "--beam"})] = 4


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BenchmarkSettings", Extended)


def test_every_setting_but_the_judges_addresses_is_offered() -> None:
    offered = offered_settings()
    names = [one.name for one in fields(BenchmarkSettings)]
    assert [one.name for one in offered] == [name for name in names if name != "judge_addresses"]
    assert all(one.description.endswith(".") for one in offered)
    least = {one.name: one.least for one in offered if one.least is not None}
    assert (least["output_tokens"], least["batch_sizes"], least["request_rates"], least["shots"]) == (2, 1, 0.001, 0)
    assert "endpoint" not in {one.name for one in offered_settings(without=["endpoint"])}


@pytest.mark.usefixtures("extended")
def test_a_new_field_is_an_option_of_the_command() -> None:
    heard: dict[str, Any] = {}

    @taking(offered_settings(), as_option, before="last")
    def command(first: str, last: bool = False, **chosen: Any) -> None:
        heard.update(chosen, first=first)

    app = typer.Typer()
    app.command()(command)
    runner = CliRunner()
    assert runner.invoke(app, ["x", "--beam", "2", "--batch-size", "3", "--batch-size", "5"]).exit_code == 0
    assert (heard["first"], heard["beams"], heard["batch_sizes"], heard["warmups"]) == ("x", 2, [3, 5], 10)
    assert Extended(**{name: value for name, value in heard.items() if name not in ("first", "data")}).beams == 2
    assert runner.invoke(app, ["x", "--beam", "0"]).exit_code == 2
    assert "Beams of each search." in runner.invoke(app, ["--help"], env={"COLUMNS": "200"}).output


@pytest.mark.usefixtures("extended")
def test_a_signature_and_a_docstring_name_them_where_they_belong() -> None:
    @taking(offered_settings(), lambda one: (one.type, one.default), before="last")
    def flow(first: str, last: bool = False, **chosen: Any) -> None:
        """Do something.

        Args:
            first: Once.
            last: Twice.
            seed: Mine.
            **chosen: The settings.
        """

    names = list(inspect.signature(flow).parameters)
    assert (names[0], names[-2:]) == ("first", ["beams", "last"])
    told = inspect.getdoc(flow) or ""
    assert "    beams: Beams of each search." in told.splitlines()
    assert (told.count("seed: "), told.count("chosen")) == (1, 0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n": -1}, "n is -1. Set at least 0."),
        ({"request_rates": (1.0, 0.0)}, "request_rates is 0.0. Set at least 0.001."),
        ({"batch_sizes": ()}, "batch_sizes needs at least one number. Set one, or leave it out."),
        ({"shots": -2}, "shots is -2. Set at least 0."),
        ({"seed": "x"}, "seed is x. Input should be a valid integer"),
    ],
)
def test_what_means_nothing_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfiguration) as error:
        BenchmarkSettings(**given)
    assert told in str(error.value)


def test_lists_are_taken_and_minus_one_stands_for_the_tasks_own_number() -> None:
    chosen = BenchmarkSettings(batch_sizes=[1, 3], shots=-1)  # type: ignore[arg-type]
    assert (chosen.batch_sizes, chosen.shots) == ((1, 3), None)
