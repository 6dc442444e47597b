"""The source kind `git-lfs`: `git+https://host/repo.git@v1#folder`.

Not here: how a repository is asked (sources.git_lfs).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from weighbridge.domain.source_kinds.grammar import Parts, last_name, read_options, without_secret, write_options
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.errors import InvalidReference

#: What git accepts in a reference's name (git-check-ref-format), less what begins like an option.
GIT_REVISION = re.compile(r"(?!.*(?:\.\.|@\{))[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*")


def revision_mistake(parts: Parts) -> str:
    """Return why a revision is not a valid one of git, as a message; empty where it is valid."""
    if not parts.revision or GIT_REVISION.fullmatch(parts.revision):
        return ""
    return f"“{parts.revision}” is not a revision: write a branch, a tag, or a commit of 40 digits"


def _read(kind: str, scheme: str, rest: str) -> Parts:
    address, _, subdir = f"{scheme.removeprefix('git+')}:{rest}".partition("#")
    address, _, query = address.partition("?")
    if any(key not in ("files", "exclude") for key, _ in read_options(query)):
        raise InvalidReference(
            f"The address {address} has a query that no repository takes.",
            "Name credentials with --token-env, --token-file or auth: in models.yaml; it may hold files and exclude.",
        )
    if not re.match(r"^https?://[^/\s]+/.", address):
        uri = f"{scheme}:{rest}"
        raise InvalidReference(f"“{uri}” is not a git URL.", "Write git+https://host/repo.git@v1#subdir.", uri=uri)
    host, path = address.split("/", 3)[2:]
    repository, _, revision = path.partition("@")
    url = f"{address.split('/')[0]}//{host}/{repository}"
    subdir = unquote(subdir).strip("/")
    options = (*read_options(query), *((("subdir", subdir),) if subdir else ()))
    return Parts(kind, without_secret(url), unquote(revision), tuple(sorted(options)))


def _write(scheme: str, parts: Parts) -> str:
    revision = f"@{quote(parts.revision, safe='/')}" if parts.revision else ""
    subdir = "".join(f"#{quote(value, safe='/')}" for value in parts.option("subdir"))
    others = tuple(option for option in parts.options if option[0] != "subdir")
    return f"git+{parts.id}{revision}{write_options(others)}{subdir}"


GIT_LFS = SourceKind(
    name="git-lfs",
    schemes=("git+https", "git+http"),
    adapter="weighbridge.sources.git_lfs:GitLFSSource",
    options="weighbridge.config.source_options:GitLFSOptions",
    read=_read,
    write=_write,
    follows=r"\/\/[^\/\s@]+\/.+",
    mistake=revision_mistake,
    model_name=last_name,
    places=frozenset({"subdir"}),
    block="git-credentials",
)
