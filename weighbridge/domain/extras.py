"""Extras: optional parts of Weighbridge and of a machine, and the command that installs each."""

from __future__ import annotations

#: The command that brings ClamAV's signatures to a machine and keeps them up to date; as root, by the network.
SIGNATURES_COMMAND = "sudo apt-get install clamav-freshclam && sudo freshclam"


def install_command(extra: str) -> str:
    """Return the command that installs an extra, to be run in the folder that Weighbridge was cloned to.

    The package index has no package of ours, so a name from there would be somebody else's.
    """
    return f"In the folder of Weighbridge's source: pip install -c constraints.txt '.[{extra}]'"
