"""The bill of materials of a version: a CycloneDX 1.6 ML-BOM."""

from __future__ import annotations

import hashlib

from fastapi import Request, Response

from weighbridge.intake.bills import MEDIA_TYPE, bill, written_bill
from weighbridge.intake.lookup import exact
from weighbridge.web.answers import Body, answer_body
from weighbridge.web.api.names import Name, Number
from weighbridge.web.authentication import Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog
from weighbridge.web.routes import Router

router = Router(prefix="/models/{id}", tags=["versions"])
_DESCRIBED = {200: {"description": "The bill of materials.", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}}


@router.get(
    "/versions/{version}/bom",
    response_class=Response,
    responses={**_DESCRIBED, **documented(400, 404, 422, 503)},
)
def get_bill(request: Request, catalog: SharedCatalog, _caller: Reader, name: Name, number: Number) -> Response:
    """Return the bill of materials of a version: files, licence, parents, card, results, findings, decision.

    It is a CycloneDX 1.6 ML-BOM, and byte for byte what `weighbridge bom` writes.
    """
    content = written_bill(bill(exact(catalog, name, number), catalog))
    body = Body(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return answer_body(request, body, media_type=MEDIA_TYPE)
