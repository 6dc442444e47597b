"""A header reader in a process of its own, with limits on time, memory and output.

For formats whose readers are large, or native, or may hang: a file that kills or stalls the child costs a reason, not
the run. Not here: what the child may reach (confinement), or the readers.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any

from weighbridge.content.confinement import confine
from weighbridge.errors import ScannerUnavailable
from weighbridge.system.processes import Child, inherited

#: Readers by name: a function of a path that returns plain JSON.
READERS = {
    "config": "weighbridge.content.headers.config:inspect_file",
    "json": "weighbridge.content.headers.config:inspect_other_file",
    "gguf": "weighbridge.content.headers.gguf:walk_file",
    "onnx": "weighbridge.content.headers.onnx:walk_file",
    "hdf5": "weighbridge.content.headers.hdf5:walk_file",
    "rds": "weighbridge.content.headers.rds:walk_file",
    "safetensors": "weighbridge.content.headers.safetensors:walk_file",
    "tensorflow": "weighbridge.content.headers.tensorflow:walk_file",
    "model-signature": "weighbridge.content.model_signatures.library:check_folder",
    "probe": "weighbridge.content.confinement:probe",
    "fickling": "weighbridge.content.pickles.engines:judge_with_fickling",
}

#: What a machine under load refuses a new process with, and seconds until it is asked again.
_SHORT = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_PAUSES_S = (0.2, 1.0, 3.0)

#: One child runs at a time, so that the metadata of models use memory only once.
_turn = Lock()


@dataclass(frozen=True)
class ReadingLimits:
    """What one reading may cost.

    Attributes:
        wall_time_s: seconds until the child is killed.
        cpu_time_s: seconds of processor time.
        memory_size: the most bytes of its data; together with the rest of an ingest they are less than 400 MB.
        address_space: bytes of address space, libraries and mapped files included.
        output_size: bytes of answer.
    """

    wall_time_s: float = 120.0
    cpu_time_s: int = 20
    memory_size: int = 96 * 1024**2
    address_space: int = 2 * 1024**3
    output_size: int = 16 * 1024**2


@dataclass(frozen=True)
class HeaderReading:
    """The result of a child: an answer, or the reason why there is none."""

    answer: dict[str, Any] | None
    reason: str = ""


def read(reader: str, path: Path, limits: ReadingLimits | None = None) -> HeaderReading:
    """Run a reader of `READERS` over a file in a child process; never raises because of the file.

    Raises:
        ScannerUnavailable: this machine cannot start a process now.
    """
    limits = limits or ReadingLimits()
    root = str(Path(__file__).resolve().parents[2])
    values = [reader, str(path), *map(str, (limits.cpu_time_s, limits.memory_size, limits.address_space))]
    values.append(str(limits.output_size))
    command = [sys.executable, "-s", "-P", "-m", __name__, *values]
    with _turn, tempfile.TemporaryFile() as output:
        with _started(command, _environment(root), output) as child:
            if not child.ends_within(limits.wall_time_s):
                return HeaderReading(None, f"reading its header took longer than {limits.wall_time_s:g} s")
        if child.returncode:
            return HeaderReading(None, _why(child.returncode, limits))
        output.seek(0)
        return _answer(output.read(limits.output_size))


def _started(command: list[str], environment: dict[str, str], output: IO[bytes]) -> Child:
    """Start a child; a machine short of processes or memory is asked again before it counts as unable to."""
    pauses = iter(_PAUSES_S)
    while True:
        try:
            return Child(command, environment, stdout=output)
        except OSError as error:
            pause_s = next(pauses, None)
            if pause_s is None or error.errno not in _SHORT:
                raise ScannerUnavailable(
                    f"A process that reads a file cannot be started: {error.strerror}.",
                    "Run it again when the machine has less to do, or raise its limits on processes, files and memory.",
                    errno=error.errno,
                ) from error
        time.sleep(pause_s)


def _environment(root: str) -> dict[str, str]:
    kept = inherited("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV")
    # Numeric libraries would reserve address space for a thread per core.
    return kept | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def _why(code: int, limits: ReadingLimits) -> str:
    if code == _OUT_OF_MEMORY:
        return f"reading its header needs more than {limits.memory_size / 2**20:.0f} MiB"
    if code == _BROKEN:
        return "its header broke the reader"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"reading its header took longer than {limits.cpu_time_s} s of processor time"
    if code == _TOO_LONG:
        return "its header says more than the reader may answer"
    return f"the reader of its header ended with code {code}"


def _answer(content: bytes) -> HeaderReading:
    try:
        answer = json.loads(content)
    except ValueError:
        return HeaderReading(None, "the reader of its header gave no answer")
    return (
        HeaderReading(answer)
        if isinstance(answer, dict)
        else HeaderReading(None, "the reader of its header gave no answer")
    )


_OUT_OF_MEMORY = 3
_BROKEN = 4
_TOO_LONG = 5


def _limit(name: str, value: int) -> None:
    # macOS knows RLIMIT_AS and RLIMIT_DATA and refuses to set them; the time limits still hold there.
    with suppress(ValueError, OSError):
        resource.setrlimit(getattr(resource, name), (value, value))


def main(arguments: list[str]) -> int:
    """Be the child: limit this process, read, and print the answer as JSON."""
    reader, path, cpu_time_s, memory_size, address_space, output_size = arguments
    confine(Path(path))
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", int(output_size) + 1)
    module, function = READERS[reader].split(":")
    _limit("RLIMIT_CPU", int(cpu_time_s))
    _limit("RLIMIT_DATA", int(memory_size))
    _limit("RLIMIT_AS", int(address_space))
    try:
        answer = json.dumps(getattr(import_module(module), function)(Path(path)))
        if len(answer) > int(output_size):
            return _TOO_LONG
        sys.stdout.write(answer)
        sys.stdout.flush()
    except MemoryError:
        return _OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 (hostile input may break a reader in any way; the parent reports it as failed)
        return _BROKEN
    return 0


if __name__ == "__main__":
    # No clean-up: a broken native library must not get another chance.
    os._exit(main(sys.argv[1:]))
