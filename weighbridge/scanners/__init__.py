"""The scanners: one engine or family a file, one line here; see interface.py.

A scanner's module is imported when scanners are opened, so that a fetch or a list waits for no unpacker.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from weighbridge.config.settings import Settings
from weighbridge.scanners.interface import Scanner


def _adapter(module: str) -> Callable[[Settings, ExitStack], Scanner]:
    def create(settings: Settings, stack: ExitStack) -> Scanner:
        scanner: Scanner = importlib.import_module(f"weighbridge.scanners.{module}").open_scanner(settings, stack)
        return scanner

    return create


#: The opener of each scanner, by name; the processes that it starts end with the stack.
SCANNERS: dict[str, Callable[[Settings, ExitStack], Scanner]] = {
    "archives": _adapter("archives"),
    "clamav": _adapter("clamav"),
    "formats": _adapter("formats"),
    "pickles": _adapter("pickles"),
}


def import_scanners() -> None:
    """Import every scanner, before threads start that would each import them."""
    for module in SCANNERS:
        importlib.import_module(f"weighbridge.scanners.{module}")


@contextmanager
def open_scanners(settings: Settings) -> Iterator[tuple[Scanner, ...]]:
    """Open every scanner; a clamd that is started for them ends with the context."""
    with ExitStack() as stack:
        yield tuple(create(settings, stack) for create in SCANNERS.values())
