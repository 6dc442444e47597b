"""The command line: commands only; `main` is where the program starts."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line; an interrupt during its imports ends it like any other one."""
    try:
        from weighbridge.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
