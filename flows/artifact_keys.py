"""Keys of artifacts for any model name, in the characters that Prefect allows (lowercase letters, digits, dashes)."""

from __future__ import annotations

import re


def key(what: str, model: str) -> str:
    """Return the key of an artifact of a model, such as `report-org-name`."""
    return re.sub(r"[^a-z0-9]+", "-", f"{what}-{model}".lower()).strip("-")
