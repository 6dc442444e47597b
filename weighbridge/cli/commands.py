"""The commands of the program: which module has each, imported only when it is run, and what the list says of each.

A module takes up to a second to import with all that its commands use, and a command needs no other one's. Not here:
the commands themselves.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

#: Of each command and group, in the order of the list: its module, and the first paragraph of its help.
COMMANDS: dict[str, tuple[str, str]] = {
    "ingest": ("ingesting", "Take one model in: fetch, verify, scan, describe, decide, publish."),
    "fetch": (
        "ingesting",
        "Bring a model into the store and verify it: unscanned, unpublished; ingest then downloads nothing.",
    ),
    "list": ("catalog", "List the models of the catalog."),
    "show": ("catalog", "Show a version: its card, what was declared of the model, scans, decision, and where it is."),
    "export": ("exports", "Write a version that passed to a folder."),
    "bundle": (
        "bundles",
        "Models in one file, for a place without a network: pack versions that passed, import them there.",
    ),
    "scan": ("examining", "Scan, describe and judge a folder in place; nothing is stored or published."),
    "doctor": ("examining", "Say what is missing on this machine, and the command that mends it."),
    "versions": ("versions", "List every version of a model, the latest first."),
    "rm": (
        "versions",
        "Remove a version from the catalog and every registry; its bytes stay until `weighbridge gc`.",
    ),
    "set-default": ("versions", "Set the version that a name without a number means, here and in every registry."),
    "withdraw": (
        "versions",
        "Take a version back from every registry; it stays FAILED whatever later decisions are.",
    ),
    "reinstate": (
        "versions",
        "Take a withdrawal back: the version has its last verdict again, and is published where it passed.",
    ),
    "history": ("versions", "Show what was done to a model and its versions, when and by whom; removed ones too."),
    "diff": (
        "versions",
        "Show the differences of two versions: files, sizes, card, findings, verdict, results of benchmarks.",
    ),
    "report": ("versions", "Show what a scanner found in one blob, by the report's id."),
    "gc": (
        "storage",
        "Delete the bytes that no version, no lock and no running ingest needs; safe beside running ingests.",
    ),
    "cache": ("cache", "What the mirror took in: list, sum up, evict, warm."),
    "hub": ("hub", "All models of the Hub: refresh the local catalogue, search it, show one."),
    "sync": ("fleet", "Take in what changed of models.yaml, and judge again what policy, engines or time changed."),
    "fsck": ("fleet", "Hash every blob of the store again and report what is broken or missing."),
    "lock": ("locks", "Write models.lock: every wanted model at its present revision, every file with its sha256."),
    "preload": (
        "benchmarks",
        "Put the models that MODELS names, passed by the gate, into the Hugging Face cache (HF_HOME).",
    ),
    "try": (
        "benchmarks",
        "Load a model through its handler and let it answer a prompt, a text, a sound file, or a question about "
        "images.",
    ),
    "benchmark": (
        "benchmarks",
        "Measure a version that passed: how fast it is, what it takes, and how good it is.",
    ),
    "leaderboard": (
        "leaderboard",
        "Rank the versions that passed by a benchmark; only comparable results are ranked against each other.",
    ),
    "results": ("results", "Show what was measured of a model, or how one of its numbers came about."),
    "serve": ("serving", "Serve the registry over HTTP, until Ctrl-C or SIGTERM."),
    "quarantine": ("storage", "What did not pass: list it, look at it, purge its bytes."),
    "policy": ("policies", "What the gate demands: show a policy rule by rule, check a policy file."),
    "token": ("tokens", "Keys of the served registry: make, list, revoke."),
    "jobs": ("jobs", "Work that the served registry was asked for: list, show, cancel."),
    "audit": ("audit", "The audit log: list, verify, export."),
}


class Commands(TyperGroup):
    """The group of all commands; one is there when it is looked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _OnDemand()  # type: ignore[assignment]  # Nothing adds to it.

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the list of commands, for which none of their modules is imported."""
        described = {name: TyperCommand(name, help=help_) for name, (_, help_) in COMMANDS.items()}
        commands, self.commands = self.commands, described  # type: ignore[assignment]
        try:
            super().format_help(ctx, formatter)
        finally:
            self.commands = commands


class _OnDemand(Mapping[str, TyperCommand | TyperGroup]):
    """Commands by name, each from its module."""

    def __getitem__(self, name: str) -> TyperCommand | TyperGroup:
        module, _ = COMMANDS[name]
        command: TyperCommand | TyperGroup = _commands_of(module)[name]
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _commands_of(module: str) -> Mapping[str, Any]:
    app = typer.Typer()
    importlib.import_module(f"weighbridge.cli.{module}").add_commands(app)
    return get_group(app).commands
