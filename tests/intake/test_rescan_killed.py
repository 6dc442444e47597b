"""Rescans killed by a signal that nothing can catch, and begun again by another process until all is looked at."""

from __future__ import annotations

import multiprocessing

multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.intake.test_rescan_killed"])
#: The commit of the catalog before or after which each process dies.
MOMENTS = (2, 3, 4, 5, 7)
