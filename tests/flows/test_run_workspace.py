"""The temporary files of a process that Prefect started for one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
#: A run that is cancelled: Prefect raises, and then ends the process by the signal.
_CANCELLED = """
import os, signal, tempfile
from prefect.exceptions import TerminationSignal
from flows.run_workspace import own_temporary_files
try:
    with own_temporary_files():
        tempfile.mkdtemp(prefix="weighbridge-git-")
        if os.environ["HOW"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["HOW"] == "cancelled":
            raise TerminationSignal(signal.SIGTERM)
except TerminationSignal:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_is_cancelled_or_killed_leaves_no_temporary_file(tmp_path: Path) -> None:
    (scratch := tmp_path / "tmp").mkdir()
    left = {}
    for how in ("cancelled", "killed", "ended"):
        environment = {**os.environ, "TMPDIR": str(scratch), "PREFECT__FLOW_RUN_ID": "1", "HOW": how}
        environment["PREFECT_HOME"] = str(tmp_path / "prefect")
        ran = subprocess.run([sys.executable, "-c", _CANCELLED], env=environment, check=False)
        assert ran.returncode == (0 if how == "ended" else -signal.SIGKILL)
        left[how] = [path.name for path in scratch.glob("weighbridge-*")]
    assert left["cancelled"] == left["ended"] == []
    assert len(left["killed"]) == 1
