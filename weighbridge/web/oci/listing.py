"""Lists of the OCI distribution protocol: tags of a repository, and repositories, in parts of `n` after `last`.

Not here: which tags there are (intake.pulling).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.catalog import ModelQuery
from weighbridge.domain.access import Caller
from weighbridge.errors import UsageError
from weighbridge.intake.mirrored_models import REVISION_MARK, hub_name, kind_of
from weighbridge.intake.pulling import tags
from weighbridge.intake.resources import Resources
from weighbridge.web.oci.paths import PREFIX, OciPath, is_name
from weighbridge.web.oci.refusals import document

#: Entries of a part of the list of repositories, where the client names no number.
_MOST = 1000


def tag_list(request: Request, path: OciPath, caller: Caller, resources: Resources) -> Response:
    """Return the tags of a repository. Raises WeighbridgeError as `tags`."""
    found, more = _part(tags(path.name, caller, resources), request, None)
    return document({"name": path.name, "tags": found}, headers=_link(f"{path.name}/tags/list", found, more))


def catalog(request: Request, caller: Caller, resources: Resources) -> Response:
    """Return the names of the repositories that a caller may read, as clients write them."""
    models = resources.catalog.lists.models(ModelQuery(status="PASSED", names=caller.models))
    names = {
        hub_name(one.name)
        for one in models
        if one.default and kind_of(one.source) == "models" and caller.may("reader", one.name)
        if REVISION_MARK not in one.name
    }
    found, more = _part(sorted(name for name in names if is_name(name)), request, _MOST)
    return document({"repositories": found}, headers=_link("_catalog", found, more))


def _part(entries: Sequence[str], request: Request, most: int | None) -> tuple[list[str], bool]:
    """Return the part of a list that a request asks for, and whether others follow.

    Raises:
        UsageError: `n` is no number.
    """
    limit, last = request.query_params.get("n", ""), request.query_params.get("last", "")
    if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        raise UsageError("The number of entries, n, is none.", "Write n=100.")
    rest = [one for one in entries if one > last]
    count = int(limit) if limit else most
    return (rest, False) if count is None else (rest[:count], 0 < count < len(rest))


def _link(path: str, found: Sequence[str], more: bool) -> dict[str, str]:
    """Return the header that names the next part; none where there is none."""
    if not more:
        return {}
    query = urlencode({"n": len(found), "last": found[-1]})
    return {"link": f'<{PREFIX}/{quote(path)}?{query}>; rel="next"'}
