"""Unpacking: a model that came as one archive becomes files in the store. One kind of archive a file, one line here.

Not here: fetching the archive (intake.fetching), or what is wrong with an archive that is a model's file (scanners).
"""

from __future__ import annotations

from weighbridge.content.unpacking.archive import unpack_archive
from weighbridge.content.unpacking.interface import DroppedMember, Unpacked, Unpacker
from weighbridge.content.unpacking.wheel import unpack_wheel

__all__ = ["UNPACKERS", "DroppedMember", "Unpacked", "Unpacker", "unpack_archive", "unpack_wheel"]

#: `Manifest.archive` to what unpacks it.
UNPACKERS: dict[str, Unpacker] = {"archive": unpack_archive, "wheel": unpack_wheel}
