"""ClamAV's signatures as lines of a terminal. Not here: what they are (domain.signatures)."""

from __future__ import annotations

from weighbridge.domain.signatures import SignatureStatus, SignatureUpdate
from weighbridge.views.text import counted

_TEST_ONLY = "test-only signatures, which detect nothing but the EICAR test file"


def updated(done: SignatureUpdate) -> str:
    """Return the line of an update."""
    if not done.is_new:
        return f"The signatures are those of before: {done.after.title}, from {done.source}."
    instead = f" in the place of {done.before.title}" if done.before else ""
    return f"New signatures: {done.after.title}{instead}, from {done.source}. The next scan uses them."


def status(found: SignatureStatus) -> str:
    """Return the lines about the signatures in use."""
    if not found.where:
        return f"ClamAV {found.engine} with {_TEST_ONLY}. Run `weighbridge signatures update`."
    lines = [f"ClamAV {found.engine}, signatures: {found.database.title}{age(found)}", f"in {found.where}"]
    if found.is_old:
        lines.append("ClamAV publishes new ones every day. Run `weighbridge signatures update`.")
    return "\n".join(lines)


def age(found: SignatureStatus) -> str:
    """Return how old they are, as the end of a sentence."""
    if found.age_days is None:
        return ""
    return ", built today" if not found.age_days else f", {counted(found.age_days, 'day')} old"


def before_first(source: str) -> str:
    """Return what is said before signatures are fetched on a machine that has none."""
    return (
        f"This machine has no ClamAV signatures. The official ones, about 300 MB, are fetched from {source} now, once; "
        f"with --no-signatures, the scan uses {_TEST_ONLY}."
    )


def without(problem: str) -> str:
    """Return what is said where none could be fetched."""
    return f"{problem} The scan uses {_TEST_ONLY}. `weighbridge signatures update` tries again."
