"""What paths ask for, however a client writes them, and that none leads out of its repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.mirror.conftest import SMALL, Mirrored
from weighbridge.errors import UsageError
from weighbridge.web.mirror.paths import HubPath, read_path

pytestmark = pytest.mark.xdist_group("web")
COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/org/name/resolve/main/config.json", HubPath("file", "models", "org/name", "main", "config.json")),
        ("/gpt2/resolve/main/a/b.bin", HubPath("file", "models", "gpt2", "main", "a/b.bin")),
        ("/org/name/resolve/refs%2Fpr%2F1/x/y.json", HubPath("file", "models", "org/name", "refs/pr/1", "x/y.json")),
        ("/org/name/resolve/refs/pr/1/x.json", HubPath("file", "models", "org/name", "refs/pr/1", "x.json")),
        ("/org/name/resolve/v1.2.0/refs/x.json", HubPath("file", "models", "org/name", "v1.2.0", "refs/x.json")),
        ("/org/name/resolve/main/a%2Fb.bin", HubPath("file", "models", "org/name", "main", "a/b.bin")),
        ("/org/name/resolve/main/a%252Fb.bin", HubPath("file", "models", "org/name", "main", "a%2Fb.bin")),
        ("/org/name/resolve/main/gr%C3%B6%C3%9Fe", HubPath("file", "models", "org/name", "main", "größe")),
        ("/org/name/resolve/main/größe", HubPath("file", "models", "org/name", "main", "größe")),
        ("/org/name/resolve/main/a+b", HubPath("file", "models", "org/name", "main", "a+b")),
        ("/org/resolve/resolve/main/x", HubPath("file", "models", "org/resolve", "main", "x")),
        ("/org/name/blob/main/x", HubPath("file", "models", "org/name", "main", "x")),
        ("/org/name/raw/main/x", HubPath("file", "models", "org/name", "main", "x")),
        ("/datasets/squad/resolve/main/x", HubPath("file", "datasets", "squad", "main", "x")),
        ("/datasets/org/data/resolve/main/x", HubPath("file", "datasets", "org/data", "main", "x")),
        ("/spaces/org/app/resolve/main/x", HubPath("file", "spaces", "org/app", "main", "x")),
        ("/api/models/org/name", HubPath("info", "models", "org/name")),
        ("/api/models/gpt2", HubPath("info", "models", "gpt2")),
        ("/api/models/org%2Fname", HubPath("info", "models", "org/name")),
        ("/api/models/org/name/revision/refs%2Fpr%2F1", HubPath("info", "models", "org/name", "refs/pr/1")),
        ("/api/models/gpt2/revision/main", HubPath("info", "models", "gpt2", "main")),
        ("/api/models/org/name/revision/HEAD", HubPath("info", "models", "org/name", "main")),
        ("/api/datasets/org/data/revision/main", HubPath("info", "datasets", "org/data", "main")),
        ("/api/models/org/name/tree/main", HubPath("tree", "models", "org/name", "main")),
        ("/api/models/org/name/tree/main/", HubPath("tree", "models", "org/name", "main")),
        ("/api/models/org/name/tree/main/sub%2Fdir", HubPath("tree", "models", "org/name", "main", "sub/dir")),
        ("/api/models/gpt2/tree/main/sub/dir", HubPath("tree", "models", "gpt2", "main", "sub/dir")),
        ("/api/models/org/name/paths-info/main", HubPath("paths-info", "models", "org/name", "main")),
        ("/api/models/org/name/refs", HubPath("refs", "models", "org/name")),
        ("/api/models/gpt2/refs", HubPath("refs", "models", "gpt2")),
        ("/api/models/org/name/commits/main", HubPath("absent", "models", "org/name")),
        ("/api/models/org/name/discussions", HubPath("absent", "models", "org/name")),
        ("/api/models/org/name/xet-read-token/main", HubPath("xet-token", "models", "org/name", "main")),
        ("/api/models/org/xet/tree/main", HubPath("tree", "models", "org/xet", "main")),
        (f"/api/resolve-cache/models/org/name/{COMMIT}/a/b", HubPath("file", "models", "org/name", COMMIT, "a/b")),
        (f"/api/resolve-cache/datasets/squad/{COMMIT}/b", HubPath("file", "datasets", "squad", COMMIT, "b")),
        ("/api/models", HubPath("list", "models")),
        ("/api/datasets/", HubPath("list", "datasets")),
        ("/api/whoami-v2", HubPath("whoami")),
        ("/api/telemetry/transformers/x", HubPath("telemetry")),
        ("/api/agent-harnesses", HubPath("unknown")),
        ("/org/name", HubPath("unknown")),
        ("/org/name/resolve/main", HubPath("unknown")),
        ("/", HubPath("unknown")),
        ("", HubPath("unknown")),
    ],
)
def test_a_path_asks_for(raw: str, expected: HubPath) -> None:
    assert read_path(raw.encode()) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "/org/name/resolve/main/../../x",
        "/org/name/resolve/main/%2e%2e/x",
        "/org/name/resolve/main/%2E%2E%2Fx",
        "/org/name/resolve/main/a%2F..%2F..%2Fetc%2Fpasswd",
        "/org/name/resolve/main/./x",
        "/org/name/resolve/../x",
        "/org/%2e%2e/resolve/main/x",
        "/api/models/org/name/tree/main/..%2F..",
        "/api/models/../name",
        "/org/name/resolve/main/x%00.json",
        "/org/name/resolve/main/x%0d%0aSet-Cookie:a",
        "/org/name/resolve/main/a%5Cb",
        "/org/name/resolve/main/a\\..\\b",
        "/org/name/resolve/main/%c0%ae%c0%ae/x",
        "/org/name/resolve/main/%ff",
    ],
)
def test_a_trick_is_refused(raw: str) -> None:
    with pytest.raises(UsageError):
        read_path(raw.encode())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/paths/tricks/resolve/main/%2e%2e%2f%2e%2e%2fcatalog.db", 400),
        ("/paths/tricks/resolve/main/config.json%00", 400),
        ("/paths/tricks/resolve/main//config.json", 404),
        ("/paths/tricks/resolve/main/%252e%252e/catalog.db", 404),
        ("/paths/tricks/resolve/main/sub", 404),
        ("/paths/tricks/resolve/main/config.json/", 200),
        ("/paths/tricks/resolve/main/sub%2Fgr%C3%B6%C3%9Fe%20%C2%BD.bin", 200),
        ("/paths%2Ftricks/resolve/main/config.json", 200),
        ("/PATHS/tricks/resolve/main/config.json", 404),
    ],
)
def test_a_trick_gets_no_other_file(mirror: Mirrored, path: str, status: int) -> None:
    mirror.add("paths/tricks")
    found = mirror.get(path)
    assert found.status_code == status
    if status == 200:
        assert found.content in SMALL.values()
    else:
        assert found.json()["error"] == found.headers["x-error-message"]


def test_git_reads_that_there_is_no_repository(mirror: Mirrored, tmp_path: Path) -> None:
    """git shows a refusal only as plain text."""
    done = mirror.run("git", "clone", f"{mirror.url}/org/name", str(tmp_path / "clone"), home=tmp_path)
    assert done.returncode
    assert "remote: There are no git repositories here: use `hf download`." in done.stderr


def test_other_paths_are_the_registrys(mirror: Mirrored) -> None:
    client = mirror.served.client
    root = mirror.url.removesuffix("/huggingface")
    for path in ("/huggingfaces/api/models", "/%68uggingface/api/models", "/huggingface.json"):
        assert client.get(f"{root}{path}").headers["content-type"] == "application/problem+json"
    assert mirror.get("").status_code == 404
    assert mirror.get("/").json() == {"error": "There is nothing at this path."}
