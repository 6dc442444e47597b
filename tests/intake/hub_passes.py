"""What tests of the Hub's catalogue share: refreshes against a simulated Hub, and what both hold of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulators.hub_list import HubList
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.config.settings import Settings
from weighbridge.domain.hub_models import HubChange, HubPass, HubQuery, PassKind
from weighbridge.domain.progress import Progress
from weighbridge.domain.refresh_request import RefreshRequest
from weighbridge.intake.hub_refresh import refresh, unannounced
from weighbridge.intake.workspace import Workspace, open_workspace


@dataclass
class Side:
    """An installation that refreshes its catalogue of a Hub.

    Attributes:
        folder: where everything of it lies.
        hub: the Hub.
        page_size: models of a page.
    """

    folder: Path
    hub: HubList
    page_size: int = 100
    changes: list[HubChange] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home", huggingface_endpoint=self.hub.url, timeout_s=5)

    @contextmanager
    def open(self, progress: Progress | None = None) -> Iterator[Workspace]:
        with open_workspace(self.settings, folder=self.folder, progress=progress) as workspace:
            yield workspace

    def refresh(
        self,
        kind: PassKind = PassKind.FULL,
        filters: Sequence[str] = (),
        limit: int = 0,
        progress: Progress | None = None,
        on_changes: Callable[[Sequence[HubChange]], None] = unannounced,
    ) -> HubPass:
        request = RefreshRequest(kind, tuple(filters), limit, self.page_size)
        with self.open(progress) as workspace:
            return refresh(request, workspace, on_changes)

    @contextmanager
    def catalog(self) -> Iterator[HubCatalog]:
        with HubCatalog.open(self.settings.database_url) as catalog:
            yield catalog

    def names(self) -> list[str]:
        """The names of all models that the catalogue says are listed, each as often as it has it."""
        with self.catalog() as catalog:
            return [entry.model.id for batch in catalog.batches(HubQuery(sort="id")) for entry in batch]

    def assert_whole(self) -> None:
        """Assert that the catalogue has exactly the models of the Hub, each once."""
        names = self.names()
        assert len(names) == len(set(names))
        assert set(names) == self.hub.models.ids()
