"""Relative paths of models on this machine: they count from the file that names them, models.yaml or its lock.

So a lock is valid in every checkout, and models.yaml in whatever folder a command runs. Not here: what a path may lead
to (sources.file).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from weighbridge.domain.ref import ModelRef

_ROOT = "root"


def anchored(ref: ModelRef, folder: Path) -> ModelRef:
    """Return a reference with absolute paths; relative ones count from `folder`."""
    if not ref.record.local:
        return ref
    return _mapped(ref, lambda path: os.path.normpath(folder.absolute() / Path(path).expanduser()))


def relative(ref: ModelRef, folder: Path) -> ModelRef:
    """Return a reference with paths relative to `folder`, which `anchored` makes absolute again."""
    if not ref.record.local:
        return ref
    return _mapped(ref, lambda path: os.path.relpath(path, folder.absolute()))


def is_relative(ref: ModelRef) -> bool:
    """Return whether a reference names a path relative to the file that contains it."""
    return ref.record.local and not Path(ref.id).expanduser().is_absolute()


def _mapped(ref: ModelRef, change: Callable[[str], str]) -> ModelRef:
    options = tuple(sorted((key, change(value) if key == _ROOT else value) for key, value in ref.options))
    return replace(ref, id=change(ref.id), options=options)
