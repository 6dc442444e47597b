"""The source kind `bundle`: `bundle:NAME@VERSION?upstream=URI`, what a version of a bundle of no trusted key came as.

The option `upstream` is what the bundle says of where the model came from; nothing here proves it. Not here: bundles
(domain.bundle), and reading them (intake.unbundling).
"""

from __future__ import annotations

from weighbridge.domain.source_kinds.record import SourceKind

BUNDLE = SourceKind(
    name="bundle",
    schemes=("bundle",),
    adapter="weighbridge.sources.bundle:BundleSource",
    options="",
    places=frozenset(),
    block="",
)
