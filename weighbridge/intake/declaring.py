"""Declaring: what a person says of a model is kept beside what its files say.

Not here: what it is worth (domain.declarations), and the stored declarations (catalog.declarations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from weighbridge.catalog import Catalog, ModelSummary
from weighbridge.domain.declarations import FIELDS, ModelDeclaration, changed, contradictions
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import NotInCatalog
from weighbridge.intake.lookup import not_there


def declare(
    catalog: Catalog, name: str, changes: Mapping[str, Any], check: Callable[[ModelSummary], None] | None = None
) -> ModelSummary:
    """Change what is declared of a model, and return the model's line; None as a value takes a field back.

    Args:
        catalog: of the person who declares it.
        name: the model's name.
        changes: by field; what is not named stays.
        check: is called with the model's line before it changes; what it raises prevents the change.

    Raises:
        NotInCatalog: there is no such model.
    """
    try:
        catalog.declarations.change(name, changes, check)
    except NotInCatalog as error:
        raise not_there(name) from error
    model = catalog.lists.model(name)
    if model is None:  # Its last version was removed meanwhile.
        raise not_there(name)
    return model


def keep(catalog: Catalog, version: ModelVersion, said: Mapping[str, Any], said_at: datetime) -> tuple[str, ...]:
    """Keep what was said with an order for the version that it led to, and return what to know of it, a sentence each.

    1. A changelog is the version's.
    2. Everything else becomes the model's declaration; but where the version is FAILED, an earlier declaration stays:
       people are given other versions.
    3. What somebody said after the order stays, field by field, though the order's work ends later.
    """
    if changelog := said.get("changelog"):
        catalog.declarations.set_changelog(version.name, version.version, str(changelog), said_at=said_at)
    content = changed({}, {name: said[name] for name in FIELDS if name in said})
    if not content:
        return ()
    overruled: list[str] = []
    if version.status != "FAILED" or catalog.declarations.of(version.name) is None:
        now = catalog.declarations.change(version.name, content, said_at=said_at)
        stands = now.content if now else {}
        overruled += (name for name in content if stands.get(name) != content[name])
    return (
        *contradictions(version.card, ModelDeclaration(content, "", "")),
        *(f"{name}: somebody declared it anew after this order, and that stays." for name in overruled),
    )
