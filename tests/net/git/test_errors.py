"""Tests of net.git.errors: what git prints when it fails becomes the kind of error that says what to do."""

import os
import subprocess
from pathlib import Path

import pytest

from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    StoreFull,
    WeighbridgeError,
)
from weighbridge.net.git.errors import failure

URL = "https://git.example/org/model.git"


def printed(*arguments: str, **environment: str) -> bytes:
    """Return what the installed git prints when it fails."""
    done = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "HOME": "/nonexistent"}
        | environment,
    )
    assert done.returncode
    return done.stderr


class TestInstalledGit:
    def test_a_refused_connection_is_unavailable(self) -> None:
        error = failure(URL, printed("ls-remote", "http://127.0.0.1:1/x.git"), 10)
        assert isinstance(error, SourceUnavailable)
        assert URL in error.problem

    def test_a_transport_that_is_not_allowed_is_an_invalid_reference(self, tmp_path: Path) -> None:
        said = printed("ls-remote", f"file://{tmp_path}", GIT_ALLOW_PROTOCOL="https")
        assert type(failure(URL, said, 10)) is InvalidReference

    def test_a_commit_that_the_server_lacks_is_not_found(self, tmp_path: Path) -> None:
        subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
        said = printed("-C", str(tmp_path), "fetch", f"file://{tmp_path}", "0123456789" * 4)
        assert isinstance(failure(URL, said, 10), ModelNotFound)


@pytest.mark.parametrize(
    ("printed", "kind"),
    [
        (b"fatal: repository 'https://git.example/x/' not found", ModelNotFound),
        (b"fatal: unable to access 'https://git.example/x/': The requested URL returned error: 403", AccessDenied),
        (b"fatal: could not read Username for 'https://git.example': terminal prompts disabled", AccessDenied),
        (b"fatal: unable to access 'x': The requested URL returned error: 503", SourceUnavailable),
        (b"error: RPC failed; curl 18 transfer closed with outstanding read data remaining", SourceUnavailable),
        (b"fatal: write error: No space left on device", StoreFull),
        (b"error: index-pack died of signal 25", SourceError),
        (b"fatal: protocol error: bad line length character: <htm", SourceMisbehaved),
        (b"", SourceMisbehaved),
    ],
)
def test_kinds(printed: bytes, kind: type[WeighbridgeError]) -> None:
    error = failure(URL, printed, 10)
    assert type(error) is kind
    assert error.remedy


def test_the_words_of_the_server_are_quoted_on_one_line_without_control_characters() -> None:
    said = b"remote: Repository is\x1b[31m archived.\nremote: Ask \xe2\x80\xaeops.\nfatal: repository 'x' not found\n"
    error = failure(URL, said, 10)
    assert "It says: “Repository is\\x1b[31m archived. Ask \\u202eops”." in error.problem
    assert "\n" not in error.problem


def test_the_line_that_names_the_error_is_quoted() -> None:
    error = failure(URL, b"warning: something else\nfatal: bad object\nhint: none\n", 10)
    assert "sends: bad object." in error.problem
