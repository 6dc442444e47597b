"""The attestation of a version: what was decided, as signed statements of in-toto."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from fastapi import Query, Request, Response

from weighbridge.domain.attestations import BUNDLE_TYPE
from weighbridge.intake.attesting import export
from weighbridge.intake.lookup import exact
from weighbridge.web.answers import Body, answer_body
from weighbridge.web.api.names import Name, Number
from weighbridge.web.authentication import Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedResources
from weighbridge.web.routes import Router

router = Router(prefix="/models/{id}", tags=["versions"])
_DESCRIBED = {
    200: {"description": "An envelope (DSSE) a line.", "content": {BUNDLE_TYPE: {"schema": {"type": "string"}}}}
}
Step = Literal["", "verdict", "fetched", "verified", "scanned", "judged"]


@router.get(
    "/versions/{version}/attestations",
    response_class=Response,
    responses={**_DESCRIBED, **documented(400, 404, 409, 422, 500, 503)},
)
def get_attestations(
    request: Request,
    resources: SharedResources,
    _caller: Reader,
    name: Name,
    number: Number,
    only: Annotated[Step, Query(description="The statement of one step; empty for all.")] = "",
) -> Response:
    """Return the decision on a version, and each step before it, as signed statements of in-toto.

    It is what `weighbridge attest export` writes. Each answer has new signatures over equal statements; the entity tag
    is that of the statements. A version that did not pass, or was withdrawn, is attested as FAILED.
    """
    done = export(exact(resources.catalog, name, number), resources.catalog, resources.settings, only)
    tag = hashlib.sha256(f"{done.key.id} {[str(one.digest) for one in done.statements]}".encode()).hexdigest()
    return answer_body(request, Body(done.content, f'"{tag[:32]}"'), media_type=BUNDLE_TYPE)
