"""A model of the Hub as one line of text: its name, what it needs, and what stands before its files.

`meta-llama/Llama-3.1-8B-Instruct (16GB, 8B) [Terms]`. Not here: colours, which are a
terminal's, and how the figures are estimated and rounded (domain.estimates).
"""

from __future__ import annotations

from weighbridge.domain.estimates.shown import memory_text, parameters_text
from weighbridge.domain.hub_models import Gated, HubModel
from weighbridge.domain.text import shown

_ICONS = {Gated.AUTO: "[LOCK] ", Gated.MANUAL: "[KEY] ", Gated.YES: "[KEY] "}
#: What a public model has in the place of an icon.
_NO_ICON = " " * 6


def label(model: HubModel, *, icons: bool = False) -> str:
    """Return the line of a model, in which characters that cannot be seen are replaced by their codes.

    Args:
        model: as the Hub lists it.
        icons: whether `[LOCK]` (terms) or `[KEY]` (approval) before the name stands for the mark behind it.
    """
    needs = figures(model)
    line = f"{shown(model.id)}{f' ({needs})' if needs else ''}"
    if icons and model.gated is not Gated.UNKNOWN:
        return f"{_ICONS.get(model.gated, _NO_ICON)}{line}"
    return f"{_NO_ICON if icons else ''}{line} {model.gated.suffix}".rstrip()


def figures(model: HubModel) -> str:
    """Return memory and parameters of a model as `16GB, 8B`; what is not known is left out."""
    texts = (memory_text(model.memory_size) if model.memory_size else "", parameters_text_of(model))
    return ", ".join(filter(None, texts))


def parameters_text_of(model: HubModel) -> str:
    """Return a model's number of weights as `8B`; empty where it is not known."""
    return parameters_text(model.parameters) if model.parameters else ""
