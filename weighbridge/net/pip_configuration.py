"""The package index of pip's configuration on this machine: pip's files, in pip's order.

Not here: the variable PIP_INDEX_URL, which precedes them, and requests to an index (sources.pypi).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from configparser import Error, RawConfigParser
from pathlib import Path

from weighbridge.errors import InvalidConfiguration

#: Sections in ascending precedence; pip's commands that fetch packages read both.
_SECTIONS = ("global", "download", "install")


def configured_index(environment: Mapping[str, str] | None = None) -> str:
    """Return `index-url` of pip's configuration, or nothing; the environment is this process's own by default.

    Raises:
        InvalidConfiguration: a file of pip's cannot be read; the public index does not take its place.
    """
    found: dict[str, str] = {}
    for path in _files(os.environ if environment is None else environment):
        parser = RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (Error, UnicodeDecodeError, OSError) as error:
            raise InvalidConfiguration(
                f"pip's configuration {path} cannot be read: {' '.join(str(error).split())[:200]}.",
                "Correct it, or name the index in PIP_INDEX_URL.",
                path=str(path),
            ) from error
        for section in _SECTIONS:
            for name in ("index-url", "index_url"):
                if parser.has_option(section, name):
                    found[section] = parser.get(section, name).strip()
    return next((found[section] for section in reversed(_SECTIONS) if found.get(section)), "")


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files in the order in which pip reads them; later ones take precedence."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(environment.get("HOME", "") or Path.home())
    for folder in reversed((environment.get("XDG_CONFIG_DIRS", "") or "/etc/xdg").split(os.pathsep)):
        yield Path(folder, "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME", "") or home / ".config", "pip", "pip.conf")
    yield Path(sys.prefix, "pip.conf")
    if named:
        yield Path(named).expanduser()
