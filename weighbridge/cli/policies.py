"""The commands about policies: `weighbridge policy show | check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from weighbridge.cli.console import AsJSON, examples, out, say
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.policy import Policy
from weighbridge.domain.rules import RULES
from weighbridge.views.gate_tables import demands, effect_text, rule_rows

_STYLES = {"rejects": "red", "warns": "yellow"}
PolicyArgument = Annotated[
    str, typer.Argument(help="A preset, or a policy file; the one that an ingest here uses when it is left out.")
]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(
        help="What the gate demands: show a policy rule by rule, check a policy file.", no_args_is_help=True
    )
    group.command("show", epilog=examples("weighbridge policy show strict"))(_show)
    group.command("check", epilog=examples("weighbridge policy check deployments/demo/policy.yaml"))(_check)
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
