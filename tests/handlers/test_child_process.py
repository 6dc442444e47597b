"""A child that is asked: what it tells is heard, and it ends with its parent, with whatever it started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from weighbridge.handlers.child_process import ask

CHILD = """
import subprocess, sys, time
from weighbridge.handlers.child_process import answer_stdin

def work(question, tell):
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


def test_what_a_child_tells_is_heard_before_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "telling.py").write_text(
        "import os, sys\n"
        "from weighbridge.handlers.child_process import answer_stdin\n"
        "def work(question, tell):\n"
        "    print('a library prints')\n"
        "    sys.stderr.write('why' * 100_000)\n"
        "    tell('one\\n'); tell(2)\n"
        "    os._exit(3) if question['dies'] else None\n"
        "    return {'size': len(question['text'])}\n"
        "answer_stdin(work)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    heard: list[Any] = []
    question = {"dies": False, "text": "x" * 200_000}
    answer = ask("telling", question, timeout_s=60, hear=heard.append)
    assert (answer.value, heard) == ({"size": 200_000}, ["one\n", 2])
    answer = ask("telling", question | {"dies": True}, timeout_s=60)
    assert answer.value is None
    assert answer.failure.startswith("Its process ended with 3: ")
    assert answer.failure.endswith("whywhy")


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
