"""An asker: on whose behalf work is done, who receives progress, where credentials and policies are looked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.domain.access import Role
from weighbridge.domain.progress import Progress, Silent

if TYPE_CHECKING:
    from weighbridge.net.auth import Auth


def process_user() -> str:
    """Return the user of this process as an actor, `cli:USER`; by the system's word, not the environment's."""
    try:
        import pwd

        return f"cli:{pwd.getpwuid(os.geteuid()).pw_name}"
    except (ImportError, KeyError):  # no POSIX system, or a user without a name, as in containers
        return f"cli:{os.geteuid()}" if hasattr(os, "geteuid") else "cli"


@dataclass(frozen=True)
class Asker:
    """The person or service that asks for models. `intake.workspace` has the rules that follow from it.

    Attributes:
        progress: receives the progress of each step.
        folder: where models.yaml and policy.yaml are looked for.
        load_block: loads credentials for a source kind from a Prefect block, or None where Prefect is not in use.
        on_behalf: whether others than this process's user ask for models, so that private addresses are refused.
        vouched: whether a file of the operator names those models, and so the places of secrets and the folders.
        may_continue: whether the asker, not being the operator, may go on with a model's name from another source,
            where the request says so: a caller whose role holds for that name.
        actor: whose changes the audit log says they are; without one, this process's user, where no one else asks.
        role: what the asker may do: everything, where no one else asks.
        for_mirror: whether nobody asked for the model by hand: a request of the mirror did.
        run_url: the page of the run that does the work, which the catalog's record of an attempt names; or empty.
    """

    progress: Progress = field(default_factory=Silent)
    folder: Path = field(default_factory=Path.cwd)
    load_block: Callable[[str, str], Auth] | None = None
    on_behalf: bool = False
    vouched: bool = False
    may_continue: bool = False
    actor: str = ""
    role: Role = "reader"
    for_mirror: bool = False
    run_url: str = ""

    def __post_init__(self) -> None:
        if not self.on_behalf:
            object.__setattr__(self, "role", "admin")
            object.__setattr__(self, "actor", self.actor or process_user())

    @property
    def is_stranger(self) -> bool:
        """Return whether only the asker names places of secrets, files and policies: the operator's limits apply."""
        return self.on_behalf and not self.vouched
