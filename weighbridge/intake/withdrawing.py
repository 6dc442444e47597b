"""Withdrawing a model: every version is taken back from every registry; nothing is deleted.

Not here: one version (intake.publishing), or deleting bytes (intake.collecting).
"""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.domain.access import suffices
from weighbridge.intake import publishing
from weighbridge.intake.lookup import not_there
from weighbridge.intake.workspace import Workspace


@dataclass(frozen=True)
class Withdrawal:
    """The result of withdrawing.

    Attributes:
        name: the model's name.
        withdrawn: the numbers of the versions that were withdrawn, the latest first.
        default: the number of the default version now, or empty.
    """

    name: str
    withdrawn: tuple[str, ...]
    default: str


def withdraw(name: str, number: str, reason: str, workspace: Workspace) -> Withdrawal:
    """Withdraw one version of a model, or without a number all that are not; a second call is harmless.

    Those that somebody with a lower role withdrew are withdrawn again, so that it takes the asker's role to reinstate
    them; and so are those that did not pass, as a later verdict could let them pass. Where a registry refuses, the same
    call again goes on with the versions that are left.

    Raises:
        NotInCatalog: there is no such model or version.
        RegistryError: a registry refused.
    """
    catalog = workspace.catalog
    known = [version for version in catalog.lists.versions(name) if number in ("", version.version)]
    if not known:
        raise not_there(name, number)
    done = {one for one, needed in catalog.withdrawals(name).items() if suffices(needed, workspace.asker.role)}
    wanted = [version.version for version in known if number or version.version not in done]
    for version in wanted:
        publishing.withdraw(name, version, reason, workspace)
    model = catalog.lists.model(name)
    return Withdrawal(name, tuple(wanted), model.version if model is not None and model.default else "")
