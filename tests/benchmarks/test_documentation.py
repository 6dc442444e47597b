"""What docs/benchmarks.md says is so: definitions, options of the command line, numbers of samples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.codesandbox import DEFINITION, CodeLimits
from weighbridge.benchmarks.statistics import enclosing_ranks
from weighbridge.cli import app

PAGE = Path("docs/benchmarks.md").read_text()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_its_definition_there(name: str) -> None:
    assert f"`{BENCHMARKS[name]().definition}`" in PAGE
    assert f"\n| [`{name}`](#" in PAGE


def test_every_option_is_one_of_the_command() -> None:
    commands = get_command(app.app).commands  # type: ignore[attr-defined]
    known = {text for name in ("benchmark", "ingest", "leaderboard", "results") for text in _options(commands[name])}
    elsewhere = {"--security-opt"} | _options_of_bench_modules()
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) - elsewhere <= known


def _options_of_bench_modules() -> set[str]:
    """Returns the options that the modules of bench/ read, which the page names as `python -m bench.NAME`."""
    modules = (path.read_text() for path in Path("bench").glob("*.py"))
    return {text for module in modules for text in re.findall(r'add_argument\("(--[a-z-]+)"', module)}


def _options(command: object) -> list[str]:
    return [text for option in command.params for text in option.opts]  # type: ignore[attr-defined]


def test_so_many_samples_are_needed() -> None:
    (row,) = re.findall(r"P50 (\d+), P90 (\d+), P95 (\d+), P99 (\d+)", PAGE)
    for share, text in zip((0.5, 0.9, 0.95, 0.99), row, strict=True):
        assert enclosing_ranks(int(text), share) is not None
        assert enclosing_ranks(int(text) - 1, share) is None


def test_the_sandbox_is_as_told() -> None:
    limits = CodeLimits()
    told = f"{limits.cpu_time_s} s of processor, {limits.wall_time_s:g} s of time, {limits.memory_size // 1024**3} GiB"
    assert f"Limits: {told} of memory" in PAGE
    assert f"`{DEFINITION}`" in PAGE
