"""Conversion of the `git` program's failures to `weighbridge.errors`."""

from __future__ import annotations

import re

from weighbridge.domain.text import shown
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

_GONE = re.compile(r"not our ref|unadvertised object|upload-pack: not our|couldn't find remote ref|no such remote ref")
_NO_REPOSITORY = re.compile(r"repository '.*' not found|returned error: (404|410)|not valid: is this a git repository")
_DENIED = re.compile(r"authentication failed|could not read (username|password)|returned error: (401|403|407|451)")
_TOO_LARGE = re.compile(r"file too large|died of signal (25|31)|file size limit exceeded")
_UNAVAILABLE = re.compile(
    r"too slow|timed out|timeout|could not resolve|failed to connect|couldn't connect|connection (reset|refused|was)"
    r"|early eof|unexpected disconnect|hung up|recv failure|send failure|empty reply|rpc failed|partial file"
    r"|transfer closed|returned error: (408|425|429|5\d\d)|not closed cleanly"
)


def failure(url: str, errors: bytes, max_size: int) -> WeighbridgeError:
    """Return the error for what git printed.

    Args:
        url: the repository's address, without secrets.
        errors: the end of git's standard error, in English (`LC_ALL=C`); parts of it come from the server.
        max_size: the most bytes that a fetch may receive.
    """
    text = errors.decode(errors="replace")
    lowered = text.lower()
    facts = {"url": url}
    if "no space left on device" in lowered:
        return StoreFull("No space is left for git's download.", "Free some, or set TMPDIR to a larger disk.")
    if _TOO_LARGE.search(lowered):
        return SourceError(
            f"{url} sends more than the {max_size:,} bytes that are allowed.",
            "Raise the limit in the settings.",
            **facts,
        )
    if "transport '" in lowered and "not allowed" in lowered:
        return InvalidReference("Git may only use https and http here.", "Write git+https://host/repo.git.", **facts)
    if _GONE.search(lowered):
        return ModelNotFound(
            f"{url} does not serve that commit.",
            "It was removed, or its branch was rewritten; some servers serve only branches and tags: name one.",
            **facts,
        )
    if _NO_REPOSITORY.search(lowered):
        return ModelNotFound(
            f"There is no git repository at {url}.{_remote_words(text)}", "Check the address.", **facts
        )
    if _DENIED.search(lowered):
        words = _remote_words(text)
        return AccessDenied(f"{url} refuses access.{words}", "Name credentials that may read it.", **facts)
    if _UNAVAILABLE.search(lowered):
        return SourceUnavailable(
            f"The connection to {url} failed: {_telling_line(text)}.", "Run the same command again later.", **facts
        )
    return SourceMisbehaved(
        f"Git does not accept what {url} sends: {_telling_line(text)}.", "Ask the server's operator.", **facts
    )


def _telling_line(text: str) -> str:
    """Return the first line that names an error, safe to show."""
    lines = [line for line in text.splitlines() if line.strip()] or ["it gives no reason"]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return shown(telling[0]).removeprefix("fatal: ").removeprefix("error: ")[:200].rstrip(". ")


def _remote_words(text: str) -> str:
    """Return a sentence with the server's own words, or nothing."""
    words = " ".join(line.removeprefix("remote:").strip() for line in text.splitlines() if line.startswith("remote:"))
    return f" It says: “{shown(words)[:400].rstrip('. ')}”." if words.strip() else ""
