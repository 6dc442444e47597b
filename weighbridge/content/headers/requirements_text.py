"""Requirements files: what pip installs for a model, by a file's name or because the whole text reads as one.

Not here: what a line makes an installer do (loading.requirements), conda's environments (loading.layouts).
"""

from __future__ import annotations

from pathlib import Path

from weighbridge.content.findings import Findings
from weighbridge.content.loading import inspection, requirements
from weighbridge.content.text_encoding import decode
from weighbridge.domain.report import Finding

#: Bytes of a requirements file; real ones have a few thousand.
MAX_SIZE = 256 * 1024


def read(path: Path) -> tuple[Finding, ...]:
    """Return the findings about a file that is called requirements; each line counts by itself."""
    findings = Findings()
    with open(path, "rb") as file:
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        findings.add("config.limit", "error", f"It has more than {MAX_SIZE:,} bytes; real requirements are shorter.")
    for ruling in requirements.rulings(decode(content, "replace")):
        inspection.add(findings, "pip", "requirements", ruling, "")
    return findings.all


def read_unnamed(path: Path) -> tuple[Finding, ...]:
    """Return the findings about any other text, which requirements may include: only when pip would read all of it."""
    with open(path, "rb") as file:
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        return ()
    text = decode(content, "replace")
    return read(path) if requirements.is_requirements(text) else ()
