"""A child process that has loaded a model and stays: messages to it and from it, without blocking.

Not here: its own side (worker_child), and the calls (worker).
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Mapping
from typing import IO, Any

from weighbridge.errors import HandlerError
from weighbridge.handlers import child_process

_MODULE = "weighbridge.handlers.worker_child"
#: The most bytes of one message, and of the end of the child's output, that are kept.
_MAX_LINE_SIZE, _KEPT = 256 * 1024**2, 4096
_LEAVE_S, _JOIN_S = 5.0, 1.0


class WorkerProcess:
    """One child.

    Args:
        name: the model's name, for messages.
        model: the message with the model to load.
    """

    def __init__(self, name: str, model: Mapping[str, Any]) -> None:
        self._name = name
        key = str(model["options"].get("upstream_api_key_env", ""))
        self._process = child_process.start(_MODULE, keys=(key,))
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said = bytearray()
        self._threads = [
            threading.Thread(target=work, args=(pipe,), name="worker", daemon=True)
            for work, pipe in (
                (self._write, self._process.stdin),
                (self._read, self._process.stdout),
                (self._listen, self._process.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()
        self.send(model)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    def send(self, message: Mapping[str, Any]) -> None:
        """Send it a message, as soon as it reads."""
        self._out.put(json.dumps(message).encode() + b"\n")

    def receive(self, wait_s: float) -> dict[str, Any] | None:
        """Return its next message, or None where there is none within `wait_s` seconds.

        Raises:
            HandlerError: it has died, or sends something that is not a message.
        """
        with contextlib.suppress(queue.Empty):
            return self._known(self._in.get(timeout=wait_s))
        if self.alive:
            return None
        # Processes that it started may hold its pipes open, so that they never end.
        with contextlib.suppress(queue.Empty):
            return self._known(self._in.get(timeout=wait_s))
        raise self._gone()

    def _known(self, message: dict[str, Any] | None) -> dict[str, Any]:
        if message is None:
            self._in.put(None)  # It does not come back.
            raise self._gone()
        return message

    def end(self) -> None:
        """Let it end after its work, and kill it if it does not."""
        self._out.put(None)
        self._process.ends_within(_LEAVE_S)
        self.kill()

    def kill(self) -> None:
        """Kill it with all processes that it started; return when it has ended."""
        self._process.kill()
        self._process.wait()
        self._out.put(None)
        for thread in self._threads:
            thread.join(_JOIN_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _gone(self) -> HandlerError:
        status = self._process.wait()
        self._threads[2].join(_JOIN_S)
        return HandlerError(
            f"The process of {self._name} has ended.  {child_process.failure(status, bytes(self._said))}",
            "The next call loads the model again.",
            transient=True,
        )

    def _write(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError):  # It has ended, which the reader reports.
            while (line := self._out.get()) is not None:
                pipe.write(line)
                pipe.flush()
            pipe.close()

    def _read(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            while line := pipe.readline(_MAX_LINE_SIZE):
                message = json.loads(line)
                if not isinstance(message, dict):
                    break
                self._in.put(message)
        if self.alive:
            self._process.kill()  # A process that sends something else, or too much, is useless.
        self._in.put(None)

    def _listen(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while some := pipe.read1(_KEPT):  # type: ignore[attr-defined]
                self._said = (self._said + some)[-_KEPT:]
