"""Lists of the OCI distribution protocol: tags of a repository, and repositories, in parts of `n` after `last`.

Not here: which tags there are (intake.pulling).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.catalog import ModelQuery, ModelSummary
from weighbridge.domain.access import Caller
from weighbridge.errors import UsageError
from weighbridge.intake.mirrored_models import REVISION_MARK, hub_name, kind_of
from weighbridge.intake.pulling import tags
from weighbridge.intake.resources import Resources
from weighbridge.web.oci.paths import PREFIX, OciPath, is_name
from weighbridge.web.oci.refusals import document

#: Entries of a part of the list of repositories, at the most, and models that are read at once for it.
_MOST, _READ = 1000, 500


def tag_list(request: Request, path: OciPath, caller: Caller, resources: Resources) -> Response:
    """Return the tags of a repository.

    Raises:
        UsageError: `n` is no number.
        WeighbridgeError: as `tags`.
    """
    limit, last = _asked(request)
    rest = [tag for tag in tags(path.name, caller, resources) if tag > last]
    found = rest if limit is None else rest[:limit]
    more = _link(f"{path.name}/tags/list", found, found[-1]) if 0 < len(found) < len(rest) else {}
    return document({"name": path.name, "tags": found}, headers=more)


def catalog(request: Request, caller: Caller, resources: Resources) -> Response:
    """Return the names of the repositories that a caller may read, as clients write them, in the catalog's order.

    Raises:
        UsageError: `n` is no number.
    """
    limit, last = _asked(request)
    count = min(_MOST, limit) if limit is not None else _MOST
    found: list[str] = []
    for name in _names(last, caller, resources):
        if len(found) == count:
            return document({"repositories": found}, headers=_link("_catalog", found, last) if found else {})
        last = name
        if hub_name(name) not in (*found[-1:], request.query_params.get("last", "")):
            found.append(hub_name(name))
    return document({"repositories": found})


def _names(after: str, caller: Caller, resources: Resources) -> Iterator[str]:
    """Yield the models in the catalog, from the name after one on, that are repositories for a caller."""
    while True:
        query = ModelQuery(status="PASSED", names=caller.models, after=(after, after) if after else None, limit=_READ)
        models = resources.catalog.lists.models(query)
        yield from (one.name for one in models if _is_repository(one, caller))
        if len(models) < _READ:
            return
        after = models[-1].name


def _is_repository(model: ModelSummary, caller: Caller) -> bool:
    """Return whether a model is listed for a caller: data sets and other revisions of a model are not."""
    is_model = model.default and kind_of(model.source) == "models" and REVISION_MARK not in model.name
    return bool(is_model) and caller.may("reader", model.name) and is_name(hub_name(model.name))


def _asked(request: Request) -> tuple[int | None, str]:
    """Return how many entries a request asks for, None for all, and the one that they come after.

    Raises:
        UsageError: `n` is no number.
    """
    limit, last = request.query_params.get("n", ""), request.query_params.get("last", "")
    if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        raise UsageError("The number of entries, n, is none.", "Write n=100.")
    return int(limit) if limit else None, last


def _link(path: str, found: Sequence[str], last: str) -> dict[str, str]:
    """Return the header that names the next part, which is as long."""
    return {"link": f'<{PREFIX}/{quote(path)}?{urlencode({"n": len(found), "last": last})}>; rel="next"'}
