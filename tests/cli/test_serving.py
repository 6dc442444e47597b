"""What `weighbridge serve` refuses; tests/web has what it does."""

from __future__ import annotations

import socket

from tests.cli.conftest import Bench


def test_a_port_that_is_taken_is_named(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = bench.run("serve", "--port", str(taken.getsockname()[1]))
    assert ran.status == 64
    assert "Address already in use" in ran.err
    assert "--port" in ran.err
