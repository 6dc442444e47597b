"""Recalling: a version that was given out, and that the gate refuses by now, is taken back from caches of clients.

Clients of the Hub go on using their copies after every refusal except that there is no such revision. Not here: what is
refused (intake.mirroring), and withdrawals, which reach caches as well.
"""

from __future__ import annotations

from weighbridge.domain.audit import EXPOSED, SERVED
from weighbridge.errors import VersionRecalled, VersionRefused
from weighbridge.intake.resources import Resources


def recalled(refused: VersionRefused, resources: Resources) -> VersionRefused:
    """Return the refusal of a version as a recall where somebody has got files of it; otherwise as it is.

    Args:
        refused: the refusal.
        resources: those of the process.
    """
    name, audit = refused.facts["name"], resources.catalog.audit
    object_ = f"{name}@{refused.facts['version']}"
    was_given_out = any(audit.rows(action=action, object_=object_, limit=1) for action in (EXPOSED, SERVED)) or any(
        one.name == name
        for one in resources.catalog.transits.unweighed()  # Its recipients are not in the log yet.
    )
    return VersionRecalled(refused.problem, "Do not use copies of it.", **refused.facts) if was_given_out else refused
