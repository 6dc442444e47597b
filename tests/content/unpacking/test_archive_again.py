"""Unpacking that was killed, or that this machine cannot do, and is done again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.content.unpacking.archives import FILES, FORMATS, WEIGHTS
from tests.simulators import samples
from weighbridge.content.unpacking.archive import unpack_archive
from weighbridge.domain.digest import Digest
from weighbridge.errors import StoreError
from weighbridge.store.local import LocalBlobStore


class TestAgain:
    _DIES = """
import os, signal, sys
from pathlib import Path
from weighbridge.store.incoming import Incoming
from weighbridge.store.local import LocalBlobStore
from weighbridge.content.unpacking.archive import unpack_archive
write, count = Incoming.write, [0]
def dying(self, chunk):
    write(self, chunk)
    count[0] += len(chunk)
    if count[0] > 1_000_000:
        os.kill(os.getpid(), signal.SIGKILL)
Incoming.write = dying
unpack_archive(Path(sys.argv[1]), LocalBlobStore(Path(sys.argv[2])))
"""

    @pytest.mark.parametrize("kind", ["zip", "tar.zst"])
    def test_after_being_killed_in_the_middle(self, tmp_path: Path, store: LocalBlobStore, kind: str) -> None:
        path = tmp_path / "x"
        path.write_bytes(FORMATS[kind](FILES))
        child = [sys.executable, "-c", self._DIES, str(path), str(store.root)]
        assert subprocess.run(child, check=False).returncode == -signal.SIGKILL
        assert not store.has(Digest.sha256(WEIGHTS))
        assert len(unpack_archive(path, store).files) == 3
        assert store.unfinished() == 0

    def test_an_archive_that_cannot_be_read_here(
        self, tmp_path: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "x"
        path.write_bytes(samples.tar_of(FILES))

        def broken(*values: object) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("weighbridge.content.archives.tar_reader.Window.read", broken)
        with pytest.raises(StoreError, match="cannot be read from the store"):
            unpack_archive(path, store)
