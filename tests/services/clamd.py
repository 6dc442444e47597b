"""A real clamd with test signatures, private to one test process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from weighbridge.clamd.daemon import Daemon
from weighbridge.clamd.database import eicar, write_test_only

#: Content that the test signatures know by its digest as a whole file only.
WHOLE_FILE_MALWARE = b"malware known by its digest" * 3


def signatures(folder: Path) -> Path:
    """Write the test signatures and return their folder."""
    write_test_only(folder)
    digest = hashlib.sha256(WHOLE_FILE_MALWARE).hexdigest()
    (folder / "local.hsb").write_text(f"{digest}:{len(WHOLE_FILE_MALWARE)}:Local.Test.Whole:73\n")
    return folder


@pytest.fixture(scope="session")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Yield a running clamd that knows EICAR."""
    home = tmp_path_factory.mktemp("clamd")
    daemon = Daemon(home, signatures(home / "signatures"), threads=2)
    yield daemon
    daemon.stop()


__all__ = ["WHOLE_FILE_MALWARE", "clamd", "eicar", "signatures"]
