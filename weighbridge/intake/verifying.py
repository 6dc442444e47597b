"""Verifying: compares received files with everything that was promised. Pure: it reads manifests, and no bytes."""

from __future__ import annotations

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Comparison, Manifest
from weighbridge.errors import IntegrityError


def verify(
    declared: Manifest, computed: Manifest, *, pin: Digest | None = None, locked: Manifest | None = None
) -> Comparison:
    """Compare a computed manifest with the declaration, the pin and the lock.

    1. Every declared file was received with the declared size and digest, and nothing else was. An archive's
       declaration names the archive, whose bytes were compared while it was received; its members are the model.
    2. The manifest digest equals the user's pin (`hash` in models.yaml, `--hash`).
    3. The files equal the locked ones.

    Args:
        declared: what the source promised.
        computed: what was received: every file with its sha256.
        pin: the manifest digest that the user expects, or None.
        locked: the files that models.lock names, or None.

    Returns:
        The comparison of step 1; its `unverified` names the files for which the source promised no digest.

    Raises:
        IntegrityError: anything differs; `facts` holds expected and actual.
    """
    comparison = Comparison() if declared.archive else declared.compare(computed)
    if not comparison.equal:
        raise IntegrityError(
            f"What was received of {declared.ref} is not what was promised: {_tell(comparison)}.",
            "Nothing was published. Run it again; if it stays so, ask the model's publisher.",
            mismatched=comparison.mismatched,
            missing=comparison.missing,
            extra=comparison.extra,
        )
    if pin is not None and pin != computed.digest:
        raise IntegrityError(
            f"The pin of {declared.ref} does not fit: expected {pin.sri}, but the model is {computed.digest.sri}.",
            "Nothing was published. If you trust the new content, put the second value into `hash`.",
            expected=pin.sri,
            actual=computed.digest.sri,
        )
    if locked is not None:
        hold_to_lock(computed, locked)
    return comparison


def hold_to_lock(computed: Manifest, locked: Manifest) -> None:
    """Raise IntegrityError unless a model is the one that models.lock holds."""
    if locked.digest != computed.digest:
        raise IntegrityError(
            f"{locked.ref} is not what models.lock holds: {_tell(locked.compare(computed))}.",
            "Nothing was published. If you trust the new content, run `weighbridge lock`.",
            expected=str(locked.digest),
            actual=str(computed.digest),
        )


def _tell(comparison: Comparison) -> str:
    parts = []
    for words, paths in (
        ("changed", comparison.mismatched),
        ("missing", comparison.missing),
        ("not expected", comparison.extra),
    ):
        if paths:
            more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
            parts.append(f"{words}: {', '.join(paths[:5])}{more}")
    return "; ".join(parts) or "other bytes under the same names"
