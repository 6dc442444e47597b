"""The command line: commands only; `main` is where the program starts."""

from weighbridge.cli.app import main

__all__ = ["main"]
