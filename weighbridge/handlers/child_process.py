"""A child process for one question: JSON in, JSON out, and its whole process group killed at the end.

It is for work that may crash, hang or exhaust the memory. The child writes one JSON object a line: any number of
progress messages, then the answer. Not here: the work (benchmarks.child, handlers.trial), a child that stays
(worker_process), and the stricter children that read headers (content.sandbox).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import IO, Any

from weighbridge import errors
from weighbridge.errors import Cancelled, HandlerError, WeighbridgeError
from weighbridge.system.processes import PIPE, Child, time_limit

#: The variables of this process that a child gets: a model's own code may run there and read all of them.
# fmt: off
_KEPT = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE", "HF_MODULES_CACHE", "HF_DATASETS_CACHE",
    "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT", "HUGGINGFACE_HUB_CACHE",
    "TRANSFORMERS_CACHE", "TRANSFORMERS_OFFLINE", "NLTK_DATA",
})
# fmt: on
#: Prefixes of further such variables: Python's, those of languages, and those of processors.
_KEPT_FAMILIES = (
    *("PYTHON", "LC_", "XDG_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "MALLOC_", "GGML_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "HIP_", "HSA_", "ROCR_", "ROCM_", "ZE_", "SYCL_", "ONEAPI_"),
    *("TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "TRITON_"),
)
_MAX_ANSWER_SIZE = 256 * 1024**2
#: The most characters of the end of the child's stderr that a failure quotes.
_QUOTED = 300
#: The keys of a line of the child: a progress message, or the answer.
_TOLD, _ANSWER = "told", "answer"
#: Sends the parent a progress message.
Tell = Callable[[Any], None]


@dataclass(frozen=True)
class ChildAnswer:
    """The answer of a child.

    Attributes:
        value: its JSON object, or None when there is none.
        failure: the reason why there is none, one sentence; or empty.
        late: whether it was killed because its time was over.
    """

    value: dict[str, Any] | None
    failure: str = ""
    late: bool = False


def unheard(told: Any) -> None:
    """Ignore a progress message."""


def ask(
    module: str,
    question: Any,
    *,
    timeout_s: float,
    cancel_event: threading.Event | None = None,
    environment: Mapping[str, str] | None = None,
    keys: Collection[str] = (),
    hear: Tell = unheard,
) -> ChildAnswer:
    """Run `python -m module` with a question as JSON, and return its answer.

    It gets no token, no password and no setting of this process, only the variables that loading a model needs.

    Args:
        module: a module whose main function is `answer_stdin`.
        question: plain JSON.
        timeout_s: seconds after which it is killed.
        cancel_event: kills it.
        environment: further variables for it.
        keys: names of variables with keys of services for it; it gets these, too.
        hear: called with each progress message of the child.

    Raises:
        Cancelled: `cancel_event` was set; the child is gone.
    """
    with (
        tempfile.TemporaryFile() as said,
        start(module, environment, keys, said) as child,
        time_limit(timeout_s, child, cancel_event=cancel_event) as late,
    ):
        value = _asked(child, question, hear)
        if cancel_event is not None and cancel_event.is_set():
            raise Cancelled("The work was cancelled; its process is gone.")
        if late.is_set():
            return ChildAnswer(None, f"It was killed after {timeout_s:g} s.", late=True)
        return ChildAnswer(value) if value is not None else ChildAnswer(None, failure(child.returncode, _end_of(said)))


def answer_stdin(work: Callable[[Any, Tell], dict[str, Any]]) -> None:
    """Read the question from stdin and write the answer to stdout; libraries print to stderr in the meantime.

    Args:
        work: called with the question, and with a function that sends progress messages.
    """
    with taken_stdout() as answer_to:

        def write(kind: str, value: Any) -> None:
            answer_to.write(json.dumps({kind: value}, default=str) + "\n")
            answer_to.flush()

        write(_ANSWER, work(json.load(sys.stdin), lambda told: write(_TOLD, told)))


def start(
    module: str,
    environment: Mapping[str, str] | None = None,
    keys: Collection[str] = (),
    said: IO[bytes] | int = PIPE,
) -> Child:
    """Start `python -m module` with pipes and the environment that `ask` describes.

    `said` receives its stderr.
    """
    command = [sys.executable, "-m", module]
    return Child(command, _kept(keys) | dict(environment or {}), stdin=PIPE, stdout=PIPE, stderr=said)


def failure(status: int, said: bytes) -> str:
    """Return one sentence on why a child gave no answer.

    Args:
        status: the exit status of its process, negative for a signal.
        said: its stderr.
    """
    if status == -signal.SIGKILL:
        return "It was killed, most likely because it used too much memory."
    if status < 0:
        return f"Its process crashed: {signal.Signals(-status).name}."
    return f"Its process ended with {status}: {said.decode(errors='replace').strip()[-_QUOTED:]}"


def taken_stdout() -> IO[str]:
    """Return a child's original stdout, and send later prints to stderr; the child ends when its parent does."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), name="parent", daemon=True).start()
    answer_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answer_to


def as_json(error: WeighbridgeError) -> dict[str, Any]:
    """Return an error as the JSON that a child sends."""
    facts = {name: value for name, value in error.facts.items() if isinstance(value, str | int | float | bool)}
    return {"error": type(error).__name__, "problem": error.problem, "remedy": error.remedy, "facts": facts}


def told_error(answer: Mapping[str, Any]) -> WeighbridgeError | None:
    """Return the error in a child's answer, written by `as_json`; None where it is not an error."""
    if "error" not in answer:
        return None
    kind = vars(errors).get(str(answer["error"]))
    known = kind if isinstance(kind, type) and issubclass(kind, WeighbridgeError) else HandlerError
    return known(str(answer.get("problem")), str(answer.get("remedy", "")), **answer.get("facts", {}))


def _kept(keys: Collection[str]) -> dict[str, str]:
    """Return the part of this process's environment that a child gets, with these variables."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name in keys or name.startswith(_KEPT_FAMILIES)
    }


def _end_with_parent(parent: int) -> None:
    """Kill this process group when the parent has died, as a killed parent cannot end it itself."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


def _asked(process: Child, question: Any, hear: Tell) -> dict[str, Any] | None:
    """Return the child's answer, or None where it ends without a whole one."""
    assert process.stdin
    assert process.stdout
    with process.stdout:
        with contextlib.suppress(BrokenPipeError), process.stdin:  # A dead child reads nothing.
            process.stdin.write(json.dumps(question, default=dict).encode())
        while line := process.stdout.readline(_MAX_ANSWER_SIZE):
            found = _read(line)
            if _TOLD in found:
                hear(found[_TOLD])
            elif isinstance(value := found.get(_ANSWER), dict) and process.wait() == 0:
                return value
    process.wait()
    return None


def _read(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(line)
        if isinstance(value, dict):
            return value
    return {}


def _end_of(said: IO[bytes]) -> bytes:
    said.seek(max(0, said.seek(0, os.SEEK_END) - 4 * _QUOTED))
    return said.read()
