"""File systems: whether other machines may have a folder, too, as on NFS."""

from __future__ import annotations

from pathlib import Path

import psutil

#: Kinds that one machine has for itself. Any other kind counts as shared, a new or unknown one too.
_OF_ONE_MACHINE = {
    *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs"),
    *("overlay", "ramfs", "reiserfs", "tmpfs", "ufs", "vfat", "xfs", "zfs"),
}


def is_shared(folder: Path) -> bool:
    """Return whether a folder may be another machine's, too: neither locks nor listings are then sure to be seen."""
    place = folder.resolve()
    kind = ""
    for mount in sorted(psutil.disk_partitions(all=True), key=lambda one: len(one.mountpoint)):
        if place.is_relative_to(mount.mountpoint):
            kind = mount.fstype
    return kind.lower() not in _OF_ONE_MACHINE
