"""The tables of docs/gate.md, written from the code: `python -m tests.views.gate_page`."""

from pathlib import Path

from weighbridge.domain.presets import PRESETS
from weighbridge.views.gate_tables import presets_page

PATH = Path(__file__).parents[2] / "docs" / "gate.md"
MARK = "<!-- The tables below are written by `python -m tests.views.gate_page`. -->\n"


def page() -> str:
    """Return docs/gate.md as it should be: its own words, then the tables."""
    return PATH.read_text().partition(MARK)[0] + MARK + "\n" + presets_page(PRESETS)


if __name__ == "__main__":
    PATH.write_text(page())
