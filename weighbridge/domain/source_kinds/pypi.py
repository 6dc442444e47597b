"""The source kind `pypi`: `pypi:package==1.2`.

Not here: how an index is asked (sources.pypi).
"""

from __future__ import annotations

from functools import partial

from weighbridge.domain.source_kinds.grammar import Parts, read_named, write_named
from weighbridge.domain.source_kinds.record import SourceKind


def _mistake(parts: Parts) -> str:
    from packaging.utils import InvalidName, canonicalize_name
    from packaging.version import InvalidVersion, Version

    try:
        canonicalize_name(parts.id, validate=True)
        Version(parts.revision or "0")
    except InvalidName:
        return f"“{parts.id}” is not a package name: write package, and the version apart from it"
    except InvalidVersion:
        return f"“{parts.revision}” is not a version: write one such as 1.2, without <, >, = or ~"
    return ""


PYPI = SourceKind(
    name="pypi",
    schemes=("pypi",),
    adapter="weighbridge.sources.pypi:PypiSource",
    options="weighbridge.config.source_options:PyPIOptions",
    read=partial(read_named, separator="=="),
    write=partial(write_named, separator="=="),
    mistake=_mistake,
    places=frozenset(),
    endpoint_setting="pypi_index",
    endpoint_variable="PIP_INDEX_URL",
    one_service=True,
    block="index-credentials",
)
