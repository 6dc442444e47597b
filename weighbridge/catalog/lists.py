"""The catalog's lists, which `Catalog.lists` returns: one transaction a method, and the errors of `Catalog`.

Not here: whole versions, and changes (catalog.catalog).
"""

from __future__ import annotations

from weighbridge.catalog import listings, queries, summaries
from weighbridge.catalog.database import Database
from weighbridge.catalog.listings import ModelSummary
from weighbridge.catalog.queries import ModelQuery
from weighbridge.catalog.search_texts import SearchTexts
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.version import VersionSummary


class Lists:
    """Models and versions, a line each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts = SearchTexts()

    def models(self, query: ModelQuery | None = None) -> list[ModelSummary]:
        """Return one line for every model of a query, in its order; of all models, sorted by name, without one."""
        wanted = query or ModelQuery()
        with self._database.read(single=not wanted.search) as connection:
            return queries.listed(connection, wanted, self._texts)

    def model(self, name: str) -> ModelSummary | None:
        """Return the line of one model, or None."""
        with self._database.read(single=True) as connection:
            return listings.of_model(connection, name)

    def versions(self, name: str, *, before: str = "", limit: int | None = None) -> list[VersionSummary]:
        """Return one line for every version of a model, the latest first; none for an unknown name.

        With `before`, a part of them: those that were added before that version.
        """
        with self._database.read() as connection:
            return summaries.of_model(connection, name, before, limit)

    def files(self, name: str, version: str, *, after: str = "", limit: int | None = None) -> list[FileEntry]:
        """Return files of a version, sorted by path, from the first path after `after` on."""
        with self._database.read(single=True) as connection:
            return summaries.files(connection, name, version, after, limit)

    def versions_with(self, name: str, digest: Digest) -> list[str]:
        """Return the numbers of the versions of a model that have a file of a digest, the latest first."""
        with self._database.read(single=True) as connection:
            return summaries.with_file(connection, name, str(digest))
