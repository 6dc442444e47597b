"""The command line: commands only; `main` is where the program starts."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line; an interrupt while it is still being imported ends it as any other one does."""
    try:
        from weighbridge.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
