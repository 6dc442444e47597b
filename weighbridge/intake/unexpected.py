"""Unexpected errors: keeps their tracebacks, so that a bug met by one model becomes that model's failure alone.

Not here: errors that the code foresees (weighbridge.errors).
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from weighbridge.config.environment import without_passwords
from weighbridge.domain.clock import utc_now
from weighbridge.errors import UnexpectedError, WeighbridgeError

#: The file of the tracebacks below `WEIGHBRIDGE_HOME`, and the bytes after which it begins anew.
FILE, _MOST = "unexpected-error.txt", 1024 * 1024


def foreseen(error: Exception, work: str, folder: Path) -> WeighbridgeError:
    """Return an error of ours as it is, and for any other one an error that names the file with its traceback.

    Args:
        error: the error.
        work: what was being done: a command, or a model's name.
        folder: the folder of all state.
    """
    if isinstance(error, WeighbridgeError):
        return error
    problem = f"Something unexpected went wrong ({type(error).__name__})."
    try:
        path = _keep(error, work, folder)
    except OSError as full:
        return UnexpectedError(problem, f"Please report it; its traceback could not be kept: {full.strerror or full}.")
    return UnexpectedError(problem, f"Please report it with the file {path}.", path=str(path))


def _keep(error: Exception, work: str, folder: Path) -> Path:
    """Append the traceback in one write, since several models and processes may do so at once."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    text = f"{utc_now():%Y-%m-%d %H:%M:%SZ} {work}\n{''.join(traceback.format_exception(error))}\n"
    restart = os.O_TRUNC if path.exists() and path.stat().st_size > _MOST else 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | restart, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(without_passwords(text).encode(errors="backslashreplace"))
    return path
