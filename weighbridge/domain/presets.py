"""The policies that ship: paranoid, strict, standard, minimal, quick, none."""

from __future__ import annotations

from weighbridge.domain.licences import LicenceRules
from weighbridge.domain.policy import Policy

_ALL = ("archives", "clamav", "formats", "pickles")


#: The vocabulary of spec 1. `none` and `quick` leave bytes unread, so the best they give is SKIPPED.
PRESETS = {
    "paranoid": Policy(
        "paranoid",
        _ALL,
        reject_at="warning",
        allow_windowed=False,
        max_database_age_days=1,
        delta=False,
        rules=(("pickle.objects", "reject"),),
        deny_formats=("pickle",),
        only_weights=("safetensors", "gguf"),
        licence=LicenceRules(unknown="reject", non_commercial="reject"),
    ),
    "strict": Policy(
        "strict",
        _ALL,
        rules=(
            ("code", "reject"),
            ("format", "reject"),
            ("pickle", "reject"),
            ("pickle.engine", "warn"),  # other engines alarm on globals of our list too: tensors, quantised ones
            ("pickle.objects", "reject"),
            ("template", "reject"),
        ),
        max_database_age_days=7,
        whole_every_days=7,
        licence=LicenceRules(unknown="reject", non_commercial="warn"),
    ),
    "standard": Policy("standard", _ALL, max_database_age_days=30),
    "minimal": Policy("minimal", ("clamav",), database="any"),
    "quick": Policy("quick", ("archives", "formats", "pickles"), database="any"),
    "none": Policy("none", (), database="any"),
}
