"""Which file systems are one machine's alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from weighbridge.system.file_systems import is_shared


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        ("ext4", False),
        ("xfs", False),
        ("overlay", False),
        ("tmpfs", False),
        ("nfs4", True),
        ("cifs", True),
        ("fuse.sshfs", True),
        ("a new one", True),
        ("", True),
    ],
)
def test_the_kind_of_the_nearest_mount_decides(
    kind: str, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "nfs4" if not shared else "ext4"
    mounts = [("/", other), (str(tmp_path / "store"), kind), (str(tmp_path / "sto"), other), (str(tmp_path), other)]
    found = [SimpleNamespace(mountpoint=point, fstype=what) for point, what in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)  # noqa: A006 (psutil's own name)
    assert is_shared(tmp_path / "store" / "leases") == shared
    assert is_shared(tmp_path) != shared


def test_where_no_mount_is_known_it_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [])  # noqa: A006 (psutil's own name)
    assert is_shared(tmp_path)
