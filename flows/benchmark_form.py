"""The form of the flow `benchmark`: which settings a run may choose, and how Prefect shows each.

Not here: what a run may name (weighbridge.intake.measuring).
"""

from __future__ import annotations

from typing import Any

from weighbridge.benchmarks.offered_settings import OfferedSetting, offered_settings

#: What a run may choose; the Hub is the worker's.
SETTINGS = offered_settings(without=("endpoint",))


def in_form(setting: OfferedSetting) -> tuple[Any, Any]:
    """Return type and default of a setting in a form, whose numbers are whole and are never left out."""
    if setting.default is None:
        return int, -1
    return (int, int(setting.default)) if setting.type is float else (setting.type, setting.default)
