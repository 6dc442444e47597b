"""Lookup: finds the model, version or report that a person means by a text, and suggests similar names.

Not here: which names are valid (domain.names).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from weighbridge.catalog import Catalog
from weighbridge.domain.report import ScanReport
from weighbridge.domain.version import ModelVersion, VersionSummary
from weighbridge.errors import NotInCatalog, UsageError

if TYPE_CHECKING:
    from weighbridge.config.models_file import ModelEntry


def find(catalog: Catalog, text: str) -> ModelVersion:
    """Return the version that `NAME[@VERSION]` means; without a number the default one, else the latest.

    Raises:
        UsageError: it does not exist; the message suggests a similar name.
    """
    name, number = _parts(text)
    version = catalog.get(name, number or None)
    return version if version is not None else _fail(catalog, name, number)


def exact(catalog: Catalog, name: str, number: str = "") -> ModelVersion:
    """Return what `find` returns. Raises NotInCatalog without naming others, which a stranger may not know of."""
    version = catalog.get(name, number or None)
    if version is None:
        raise not_there(name, number)
    return version


def not_there(name: str, number: str = "") -> NotInCatalog:
    """Return the error for a model or a version that the catalog does not have, which names no other ones."""
    what = f"version {number} of {name}" if number else f"model {name}"
    where = f"GET /models/{name}/versions" if number else "GET /models"
    return NotInCatalog(f"There is no {what}.", f"{where} lists those that there are.", name=name, version=number)


def find_of(catalog: Catalog, text: str, entry: ModelEntry | None) -> ModelVersion:
    """Return what `find` does for a model that models.yaml may call by another name."""
    name, sign, number = text.partition("@")
    return find(catalog, f"{entry.key if entry else name}{sign}{number}")


def entry_named(entries: Sequence[ModelEntry], name: str) -> ModelEntry | None:
    """Return the entry of models.yaml with a name, else with an `hf_repo_id`, or None."""
    named = (entry for entry in entries if entry.key == name)
    return next(named, next((entry for entry in entries if entry.hf_repo_id == name), None))


def find_numbered(catalog: Catalog, text: str) -> ModelVersion:
    """Return the version that `NAME@VERSION` means. Raises UsageError where it does not exist or has no number."""
    name, number = _parts(text)
    if number:
        return find(catalog, text)
    known = catalog.lists.versions(name)
    example = f"{name}@{known[0].version}" if known else f"{name}@1.0.0"
    raise UsageError(f"{text} names no version.", f"Write {example}; `weighbridge versions {name}` lists them.")


def find_all(catalog: Catalog, name: str) -> list[VersionSummary]:
    """Return every version of a model, the latest first. Raises UsageError for an unknown model."""
    return catalog.lists.versions(name) or [_fail(catalog, name, "").summary]


def find_report(catalog: Catalog, id_: str) -> ScanReport:
    """Return the report of an id, which `--json` and reasons name. Raises UsageError where it does not exist."""
    report = catalog.report(id_)
    if report is None:
        raise NotInCatalog(f"The catalog has no report {id_}.", "`weighbridge show NAME --json` has those of a model.")
    return report


def _parts(text: str) -> tuple[str, str]:
    name, sign, number = text.rpartition("@")
    return (name, number) if sign else (text, "")


def _fail(catalog: Catalog, name: str, number: str) -> ModelVersion:
    versions = [version.version for version in catalog.lists.versions(name)]
    if versions:
        listed = ", ".join(versions[:5]) + (", …" if len(versions) > 5 else "")
        near = _near(number, versions)
        raise NotInCatalog(f"The catalog has no {name}@{number}.", f"{near}It has {listed}.")
    near = _near(name, (summary.name for summary in catalog.lists.models()))
    what = f"{name}@{number}" if number else name
    raise NotInCatalog(f"The catalog has no {what}.", f"{near}`weighbridge list` shows what it has.")


def _near(wanted: str, known: Iterable[str]) -> str:
    near = get_close_matches(wanted, list(known), 1)
    return f"Did you mean {near[0]}? " if near and near[0] != wanted else ""
