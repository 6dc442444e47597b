"""A child that works for a parent which was killed ends itself, with whatever it started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

CHILD = """
import subprocess, sys, time
from weighbridge.handlers.child_process import answer_stdin

def work(question):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(question["told"], "w") as file:
        file.write(f"{sleeper.pid}\\n")
    time.sleep(600)

answer_stdin(work)
"""
PARENT = """
import sys
from weighbridge.handlers.child_process import ask
ask('sleeping', {'told': sys.argv[1]}, timeout_s=600)
"""


def test_a_killed_parent_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "sleeping.py").write_text(CHILD)
    told = tmp_path / "told"
    os.mkfifo(told)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(told)], env=environment)
    grandchild = psutil.Process(int(told.read_text()))
    child = psutil.Process(grandchild.ppid())
    assert child.ppid() == parent.pid
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs([child, grandchild], timeout=60)
    assert not [found for found in alive if found.status() != psutil.STATUS_ZOMBIE]
