"""The server keeps what its OpenAPI document promises: schemathesis asks what the document allows, and what it forbids.

Each operation is asked with data that is drawn from its schemas and with data that contradicts them, with methods that
it has not, without a key, and one after another; every answer is held against the document.
`python -m tests.web.test_contract --max-examples 200` asks for longer, and hundreds of edge cases of each operation; it
takes any option of `st run`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served, serving

pytestmark = pytest.mark.xdist_group("web")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PHASES = ("--phases", "examples,fuzzing,stateful")
#: No request leaves the machine, and no job waits for a server that does not answer.
ENVIRONMENT = {"WEIGHBRIDGE_API_READING": "closed", "WEIGHBRIDGE_ALLOWED_HOSTS": "nowhere.invalid"}


def command(served: Served, *options: str) -> list[str]:
    """Return the command that asks a server, which gets two models, with schemathesis."""
    for name in ("contract/one", "contract/two"):
        settle(served.catalog, "a", "1.0.0", name=name)
        settle(served.catalog, "b", "1.1.0", name=name)
    program = [str(Path(sys.executable).with_name("st")), "--config-file", str(CONFIGURATION), "run", "--no-color"]
    key = ["--header", f"Authorization: {served.key('admin')['Authorization']}"]
    return [*program, f"{served.url}/openapi.json", *key, *options]


def test_the_server_keeps_what_its_document_promises(tmp_path: Path) -> None:
    with serving(tmp_path, ENVIRONMENT) as served:
        done = subprocess.run(command(served, *PHASES), capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert served.process.poll() is None
        assert served.catalog.audit.prove().flaws == ()


def main() -> int:
    """Ask with further options, and return the status of schemathesis."""
    with tempfile.TemporaryDirectory() as home, serving(Path(home), ENVIRONMENT) as served:
        return subprocess.run(command(served, *sys.argv[1:]), cwd=home).returncode


if __name__ == "__main__":
    sys.exit(main())
