"""The commands about policies: `weighbridge policy show | check | test | apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from weighbridge.cli.console import EXIT_REJECTED, AsJSON, bars, examples, note, out, say
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.policy import Policy
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.rules import RULES
from weighbridge.errors import UsageError
from weighbridge.intake.rejudging import apply_policy, try_policy
from weighbridge.intake.workspace import open_workspace
from weighbridge.system import whole_files
from weighbridge.views.gate_tables import demands, effect_text, rule_rows
from weighbridge.views.recall_tables import rejudgement

_STYLES = {"rejects": "red", "warns": "yellow"}
PolicyArgument = Annotated[
    str, typer.Argument(help="A preset, or a policy file; the one that an ingest here uses when it is left out.")
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(
        help="What the gate demands: show a policy, check a file, try one on all versions, apply it.",
        no_args_is_help=True,
    )
    group.command("show", epilog=examples("weighbridge policy show strict"))(_show)
    group.command("check", epilog=examples("weighbridge policy check deployments/demo/policy.yaml"))(_check)
    group.command("test", epilog=examples("weighbridge policy test strict"))(_test)
    group.command("apply", epilog=examples("weighbridge policy apply"))(_apply)
    app.add_typer(group, name="policy")


def _show(policy: PolicyArgument = "", json_: AsJSON = False) -> None:
    """Show what a policy demands, and what each rule leads to under it."""
    chosen = load_policy(policy or Settings().policy, Path.cwd())
    content = {
        "name": chosen.name,
        "digest": chosen.digest,
        "demands": demands(chosen),
        "rules": [
            {**{name: value for name, value in row.items() if name != "effects"}, "effect": row["effects"]["this"]}
            for row in rule_rows({"this": chosen})
        ],
        "waivers": [
            {"rule": w.rule, "files": w.files, "reason": w.reason, "by": w.by, "until": w.until} for w in chosen.waivers
        ],
    }
    say("policy", content, lambda: out.print(_drawn(chosen)), json_)


def _check(policy: PolicyArgument = "", json_: AsJSON = False) -> None:
    """Check that a policy file can be read and names rules that exist."""
    chosen = load_policy(policy or Settings().policy, Path.cwd())
    summary = f"The policy {chosen.name} is valid: {len(chosen.rules)} rules of its own, {len(chosen.waivers)} waivers."
    content = {"name": chosen.name, "digest": chosen.digest, "valid": True}
    say("policy-check", content, lambda: out.print(summary, highlight=False), json_)


def _test(
    policy: Annotated[str, typer.Argument(help="A policy file, or a preset.")],
    quiet: Quiet = False,
    json_: AsJSON = False,
) -> None:
    """Say which versions would be withdrawn or let in under a policy, and why; nothing is changed, no file is read.

    They are judged by what scanners reported. Models that models.yaml gives a policy of their own keep it. Exit status
    2 where a version would be withdrawn.
    """
    chosen = load_policy(policy, Path.cwd())
    with bars(quiet or json_) as progress, open_workspace(Settings(), progress=progress) as workspace:
        done = try_policy(chosen, workspace)
    say("rejudgement", done.to_json(), lambda: out.print(rejudgement(done)), json_)
    if done.withdrawn:
        raise typer.Exit(EXIT_REJECTED)


def _apply(
    policy: Annotated[str, typer.Argument(help="A policy file, which becomes the one of ingests here.")] = "",
    quiet: Quiet = False,
    json_: AsJSON = False,
) -> None:
    """Judge every version again under the policy of today, and withdraw or publish it where the verdict is another one.

    No file is read and nothing is scanned. A call that was interrupted is gone on with by the next one. Exit status 2
    where a version was withdrawn, 1 where a registry could not do its part yet, which is tried again later.
    """
    settings = Settings()
    if policy:
        _install(policy, settings)
    with bars(quiet or json_) as progress, open_workspace(settings, progress=progress) as workspace:
        done = apply_policy(workspace)
    say("rejudgement", done.to_json(), lambda: out.print(rejudgement(done)), json_)
    if done.unfinished:
        raise typer.Exit(1)
    if done.withdrawn:
        raise typer.Exit(EXIT_REJECTED)


def _install(policy: str, settings: Settings) -> None:
    """Make a policy file the one of ingests here, unless it is that already.

    Raises:
        UsageError: the settings name a preset, which is no file to write to; or the policy is a preset.
        InvalidConfiguration: it cannot be read.
    """
    here = Path.cwd()
    chosen = load_policy(policy, here)
    if chosen == load_policy(settings.policy, here):
        return
    if policy in PRESETS or settings.policy in PRESETS:
        raise UsageError(
            f"Ingests here use the policy {settings.policy or 'policy.yaml'}, so {policy} cannot become it by itself.",
            f"Set WEIGHBRIDGE_POLICY={policy} for every process, then run `weighbridge policy apply`.",
        )
    target = Path(settings.policy or "policy.yaml").expanduser()
    whole_files.write(here / target, (here / Path(policy).expanduser()).read_text())
    note(f"{target} has the content of {policy} now.")


def _drawn(policy: Policy) -> Group:
    wanted = Table(box=None, show_header=False, pad_edge=False)
    wanted.add_column(style="cyan")
    wanted.add_column(overflow="fold")
    for what, value in demands(policy).items():
        wanted.add_row(what, Text(value))
    rules = Table(box=None, pad_edge=False, header_style="dim")
    rules.add_column("rule", no_wrap=True)
    rules.add_column("effect", no_wrap=True)
    rules.add_column("what a finding says", overflow="fold")
    for rule in RULES.values():
        if rule.level != "policy":
            effect = effect_text(rule, policy)
            rules.add_row(rule.id, Text(effect, style=_STYLES.get(effect, "dim")), Text(rule.meaning))
    waivers = [
        Text(f"waived: {w.rule} for {w.files} by {w.by}" + (f" until {w.until}" if w.until else "") + f": {w.reason}")
        for w in policy.waivers
    ]
    return Group(Text(f"Policy {policy.name}", style="bold"), wanted, Text(), rules, *waivers)
