"""Names of files that a graph or a configuration makes its reader open, and whether they leave the model's folder.

A file beside it is part of the model; an absolute path, a way upwards or an address is not. Not here: the names of a
model's own files (domain.paths).
"""

from __future__ import annotations

import re

_ELSEWHERE = re.compile(r"[/\\~]|[A-Za-z]:|file:|data:|[\w+.-]+://|.*\0", re.IGNORECASE | re.DOTALL)


def leaves_model(name: str) -> bool:
    """Return whether a name is absolute, an address, or goes upwards; on any system."""
    return _ELSEWHERE.match(name) is not None or ".." in re.split(r"[/\\]", name)
