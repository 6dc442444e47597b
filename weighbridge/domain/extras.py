"""Extras: optional parts of Weighbridge, and the command that installs one."""

from __future__ import annotations


def install_command(extra: str) -> str:
    """Return the command that installs an extra, to be run in the folder that Weighbridge was cloned to.

    The package index has no package of ours, so a name from there would be somebody else's.
    """
    return f"In the folder of Weighbridge's source: pip install -c constraints.txt '.[{extra}]'"
