"""What a run has left behind, searched for the secrets it was given, in every form in which one might be written."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus


def new_secret(name: str) -> str:
    """Return a secret that occurs nowhere else, with letters that URLs, JSON and forms write otherwise."""
    return f"{name}/{secrets.token_hex(16)}+%=&~"


def forms(secret: str) -> frozenset[bytes]:
    """Return how a secret may be written: plainly, quoted, escaped, in hex, in base64 wherever it stands in a text."""
    texts = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
    raw = secret.encode()
    found = {text.encode() for text in texts} | {raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]}
    for shift in range(3):  # three bytes are four letters: only where it begins matters
        letters = b64encode(b"\0" * shift + raw)[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        found |= {letters, letters.replace(b"+", b"-").replace(b"/", b"_")}
    return frozenset(found)


def traces(folder: Path, told: Mapping[str, str], given: Iterable[str]) -> list[str]:
    """Return where secrets show: in the names and contents of the files below a folder, and in what was told.

    Args:
        folder: everything in it is read, links and hidden files too; nothing is left out.
        told: where something was told, such as `stdout`, to what.
        given: the secrets.
    """
    wanted = {form for secret in given for form in forms(secret)}
    assert wanted, "no secret was given"
    places = {name: text.encode() for name, text in told.items()}
    return sorted({name for name, content in _places(folder, places) if any(form in content for form in wanted)})


def _places(folder: Path, told: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield from told.items()
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        yield f"the name {name}", name.encode(errors="surrogateescape")
        if path.is_file():
            yield name, path.read_bytes()
