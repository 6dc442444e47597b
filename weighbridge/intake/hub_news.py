"""News of the Hub: what of the history is about models that this organisation watches, told once.

A refresh announces before its first page, after each page with changes, and at its end: what a killed one noticed and
did not tell, the next one tells. Not here: how it is stored and sent (catalog.hub_announcements), and the refresh
(intake.hub_refresh).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from weighbridge.catalog import Catalog
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.hub_models import HubChange, HubPass
from weighbridge.domain.hub_news import NEWS_FIELDS, RefreshDigest, WatchedChange, names_of
from weighbridge.domain.name_patterns import matches
from weighbridge.domain.request import MODELS_FILE
from weighbridge.intake.hub_curated import curated_in
from weighbridge.intake.workspace import Workspace

#: Changes of the history that are looked at in one transaction of the catalog.
_BATCH = 1000
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class HubNews:
    """Announces what the Hub's catalogue has noticed.

    Attributes:
        catalog: gets audit rows and messages, and knows what is here.
        hub: the local catalogue of the Hub, with its history.
        curated: the models of models.yaml.
    """

    catalog: Catalog
    hub: HubCatalog
    curated: Container[str] = field(default_factory=tuple)

    @classmethod
    def of(cls, workspace: Workspace) -> HubNews:
        """Return the news of a workspace, with the models.yaml of the working directory."""
        return cls(workspace.catalog, workspace.resources.hub_catalog, curated_in(Path(MODELS_FILE)))

    def announce(self) -> int:
        """Announce the changes of watched models that were not announced yet, and return how many there were.

        Raises:
            CatalogError: one of both catalogues cannot be used.
        """
        identity, count = self.hub.identity, 0
        while True:
            after = self.catalog.hub_announcements.announced(identity)
            batch = self.hub.changes(_ALWAYS, NEWS_FIELDS, limit=_BATCH, after=after)
            if not batch:
                return count
            watched = list(self._watched(batch))
            if self.catalog.hub_announcements.announce(identity, after, batch[-1][0], watched):
                count += len(watched)

    def conclude(self) -> None:
        """Announce the digest of each newest refresh that has ended, unless that was done.

        Raises:
            CatalogError: one of both catalogues cannot be used.
        """
        identity, state = self.hub.identity, self.hub.state()
        for ended in (state.full, state.recent, state.partial):
            if ended is not None and not self.catalog.hub_announcements.has_digest(identity, ended):
                self.catalog.hub_announcements.conclude(identity, self.digest(ended))

    def digest(self, ended: HubPass) -> RefreshDigest:
        """Return what was noticed since a refresh began, of all models."""
        return RefreshDigest.of(ended, self._since(ended))

    def _since(self, ended: HubPass) -> Iterator[HubChange]:
        after = 0
        while batch := self.hub.changes(ended.begun_at, NEWS_FIELDS, limit=_BATCH, after=after):
            yield from (change for _, change in batch if ended.ended_at is None or change.at <= ended.ended_at)
            after = batch[-1][0]

    def _watched(self, batch: Sequence[tuple[int, HubChange]]) -> Iterator[WatchedChange]:
        here = self._here(name for _, change in batch for name in names_of(change))
        patterns = self.catalog.hub_announcements.patterns()
        for number, change in batch:
            names = names_of(change)
            own = sorted({one for name in names for one in here[name.casefold()]})
            curated = any(name in self.curated for name in names)
            if own or curated or any(matches(name, pattern) for name in names for pattern in patterns):
                yield WatchedChange(number, change, tuple(own), curated)

    def _here(self, names: Iterable[str]) -> defaultdict[str, set[str]]:
        """Return the names of the models in the catalog that came from repositories of the Hub."""
        here: defaultdict[str, set[str]] = defaultdict(set)
        for version in self.catalog.repositories.versions(names):
            here[version.repository].add(version.name)
        return here
