"""Negotiation: which form of an image a client reads, by its header `Accept`.

Ollama names Docker's type of manifest alone, and gets its own form. Every other client names OCI's type too, or
anything, and gets ModelPack's; who names both prefers one of them by its `q`.
"""

from __future__ import annotations

from starlette.requests import Request

from weighbridge.intake import modelpack_images, ollama_images
from weighbridge.intake.oci_images import Form


def form_of(request: Request) -> Form:
    """Return the form that a client prefers."""
    weights: dict[str, float] = {}
    for header in request.headers.getlist("accept"):
        for part in header.split(","):
            kind, *parameters = (piece.strip() for piece in part.lower().split(";"))
            weights[kind] = max(weights.get(kind, 0.0), _weight(parameters))
    ollama = weights.get(ollama_images.MANIFEST, 0.0)
    return "ollama" if ollama > weights.get(modelpack_images.MANIFEST, 0.0) else "modelpack"


def _weight(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
