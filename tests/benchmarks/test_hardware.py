"""What a machine is: what a process may use of it, in containers and under taskset too; and who else uses it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weighbridge.benchmarks import cgroup
from weighbridge.benchmarks.hardware import ProcessorTimes, busy, hardware

CORES = "from weighbridge.benchmarks.hardware import hardware; print(hardware('cpu')['cores'])"


def group(root: Path, line: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("line", "files", "cores", "size"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n", "memory.max": "1073741824\n"}, 1.5, 2**30),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, math.inf, math.inf),
        # A job's group below one of its user's, which has the lower limit.
        ("0::/user/job\n", {"user/cpu.max": "100000 100000", "user/job/cpu.max": "400000 100000"}, 1.0, math.inf),
        # The path is the host's, and the container sees its own group alone.
        ("0::/docker/0123\n", {"cpu.max": "200000 100000", "memory.max": "4096"}, 2.0, 4096),
        (
            "5:cpu,cpuacct:/job\n7:memory:/job\n",
            {
                "cpu/job/cpu.cfs_quota_us": "50000",
                "cpu/job/cpu.cfs_period_us": "100000",
                "memory/job/memory.limit_in_bytes": "2147483648",
            },
            0.5,
            2**31,
        ),
        (
            "5:cpu:/\n7:memory:/\n",
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": str(2**63 - 4096),
            },
            math.inf,
            math.inf,
        ),
        ("nonsense", {}, math.inf, math.inf),
    ],
)
def test_a_control_group_limits_a_machine(
    tmp_path: Path, line: str, files: dict[str, str], cores: float, size: float
) -> None:
    root = group(tmp_path, line, files)
    assert (cgroup.processors(root), cgroup.memory(root)) == (cores, size)


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert (cgroup.processors(tmp_path), cgroup.memory(tmp_path)) == (math.inf, math.inf)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone says which processors a process may use")
def test_one_processor_is_another_machine_than_two() -> None:
    one = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{one}]); {CORES}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1"
    assert hardware("cpu")["cores"] <= len(os.sched_getaffinity(0))


def test_own_work_is_not_that_of_others() -> None:
    before = ProcessorTimes(0.0, 0.0, 0.0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert before.share_of_others(ProcessorTimes(10.0, 10.0 * cores, 10.0 * cores)) == 0.0
    assert before.share_of_others(ProcessorTimes(10.0, 10.0 * cores, 4.0 * cores)) == pytest.approx(0.6)
    assert before.share_of_others(ProcessorTimes(0.0, 0.0, 0.0)) == 0.0
    assert "60 % of the processors" in busy(0.6).replace("60%", "60 %")
    assert busy(0.1) == ""


def test_times_only_grow() -> None:
    before = ProcessorTimes.now()
    while time.process_time() == 0:
        pass
    later = ProcessorTimes.now()
    assert later.at_s >= before.at_s
    assert later.own_s >= before.own_s
    assert 0.0 <= before.share_of_others(later) <= 1.0
