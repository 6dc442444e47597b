"""Slots of devices: one benchmark on a device at a time, across all runs and workers, through limits of Prefect.

The name of a graphics card's limit has the card's own number, which is the same in every container; that of any other
device has the machine's name. Not here: which device is used (flows.benchmark).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from weighbridge.errors import Cancelled, InvalidConfiguration
from weighbridge.handlers.loading import choose_device

#: Seconds to wait for a slot between two checks whether the run is cancelled.
WAIT_S = 5.0


def devices() -> tuple[str, ...]:
    """Return this machine's devices: its graphics cards, and the processor."""
    try:
        import torch
    except ImportError:
        return ("cpu",)
    return (*(f"cuda:{number}" for number in range(torch.cuda.device_count())), "cpu")


def chosen(device: str) -> str:
    """Return the device of `auto`, `cuda`, or a name.

    Raises:
        InvalidConfiguration: this machine has no such device.
    """
    found = choose_device(device.strip() or "auto")
    found = "cuda:0" if found == "cuda" else found
    if found != "mps" and found not in devices():
        raise InvalidConfiguration(
            f"This machine has no device “{found}”.", f"It has {', '.join(devices())}.", device=found
        )
    return found


def limit_name(device: str) -> str:
    """Return the name of a device's limit: `cuda:<number of the card>`, `cpu:<machine>`."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        import torch

        return f"cuda:{torch.cuda.get_device_properties(int(index or 0)).uuid}"
    return f"{kind}:{socket.gethostname()}"


def make_slot(device: str) -> str:
    """Create the limit of one for a device unless it exists, and return its name; a changed limit stays."""
    name = limit_name(device)
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            try:
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
            except ObjectAlreadyExists:
                return name
            except httpx.HTTPStatusError as error:  # Another worker created it in between.
                if error.response.status_code != HTTPStatus.CONFLICT:
                    raise
    return name


@contextmanager
def occupied(device: str, cancel_event: threading.Event) -> Iterator[None]:
    """Wait until a device is free and hold it for the context.

    Raises:
        Cancelled: `cancel_event` was set during the wait.
    """
    name = make_slot(device)
    with ExitStack() as stack:
        while True:
            if cancel_event.is_set():
                raise Cancelled("The benchmark was cancelled before its device was free.")
            try:
                stack.enter_context(concurrency(name, timeout_seconds=WAIT_S, strict=True))
            except TimeoutError:
                continue
            break
        yield
