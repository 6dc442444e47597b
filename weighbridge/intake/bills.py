"""Bills: the CycloneDX ML-BOM of a version, from what the catalog knows of it; no byte is read.

Not here: what such a document says (domain.bill).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from cyclonedx.spdx import is_expression, is_supported_id

from weighbridge import __version__
from weighbridge.catalog import Catalog
from weighbridge.domain.bill import MEDIA_TYPE, BillFacts, bill_of
from weighbridge.domain.declarations import completed, stated_licence
from weighbridge.domain.version import ModelVersion

__all__ = ["MEDIA_TYPE", "bill", "licences_of", "written_bill"]


def bill(version: ModelVersion, catalog: Catalog) -> dict[str, Any]:
    """Return the bill of a version: files, licence, parents, data sets, results, findings, decision, and who signed it.

    Args:
        version: the version, whole.
        catalog: where its results and its model's declaration are.
    """
    declaration = catalog.declarations.of(version.name)
    stated = stated_licence(version.card, declaration)
    results = catalog.results([version.manifest.digest])
    facts = BillFacts(
        version=replace(version, card=completed(version.card, declaration)),
        licences=licences_of(stated.expression),
        results=tuple(sorted(results, key=lambda one: (one.benchmark, one.comparable_key, one.started_at))),
        tool=__version__,
        signers=tuple(one.told for one in catalog.publishers.of(version.manifest.digest) or ()),
    )
    return bill_of(facts)


def written_bill(document: dict[str, Any]) -> bytes:
    """Return a bill as the bytes of a file: UTF-8, always the same for the same document."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def licences_of(expression: str) -> tuple[dict[str, Any], ...]:
    """Return a licence as CycloneDX writes it: an id of SPDX, an expression of such, or a name."""
    if not expression:
        return ()
    if is_supported_id(expression):
        return ({"license": {"id": expression, "acknowledgement": "declared"}},)
    if is_expression(expression):
        return ({"expression": expression, "acknowledgement": "declared"},)
    return ({"license": {"name": expression, "acknowledgement": "declared"}},)
