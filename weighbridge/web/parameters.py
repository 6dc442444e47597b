"""Parameters of queries: one that an operation does not have, or that is given twice, is refused.

A misspelt `version` would otherwise be answered with another version than the one that was meant. Not here: what each
operation takes (web.api).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

#: The parameters of each operation, by its function: whether each may be repeated.
_known: dict[Callable[..., Any], Mapping[str, bool]] = {}


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query with a parameter that its operation does not have, or has once. Raises RequestValidationError."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    if not given:
        return
    operation = request.scope["endpoint"]
    if operation not in _known:
        _known[operation] = _parameters(request.scope["route"].dependant)
    known = _known[operation]
    wrong = {
        **{name: "this parameter does not exist" for name in given if name not in known},
        **{name: "it is given more than once" for name in given if given[name] > 1 and known.get(name) is False},
    }
    if wrong:
        errors = [{"type": "parameter", "loc": ("query", name), "msg": words} for name, words in wrong.items()]
        raise RequestValidationError(errors)


def _parameters(dependant: Dependant) -> dict[str, bool]:
    """Return the parameters of an operation: whether each may be repeated."""
    found: dict[str, bool] = {}
    for one in dependant.dependencies:
        found |= _parameters(one)
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= {name: get_origin(field.annotation) is list for name, field in kind.model_fields.items()}
        else:
            found[parameter.alias] = get_origin(kind) is list
    return found
