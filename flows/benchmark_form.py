"""The form of the flow `benchmark`: the settings that a run may choose, and how Prefect shows each.

Not here: the files and variables that a run may name (weighbridge.intake.measuring).
"""

from __future__ import annotations

from typing import Any

from weighbridge.benchmarks.offered_settings import OfferedSetting, offered_settings

#: The settings that a run may choose; the worker's settings name the Hub.
SETTINGS = offered_settings(without=("endpoint",))


def in_form(setting: OfferedSetting) -> tuple[Any, Any]:
    """Return type and default of a setting for a form, in which numbers are integers and never missing."""
    if setting.default is None:
        return int, -1
    return (int, int(setting.default)) if setting.type is float else (setting.type, setting.default)
