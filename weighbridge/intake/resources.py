"""Resources: what a process shares between all askers for as long as it lives: store, catalog, scanners, registries.

Not here: the asker (asker), or what an asker may do with them (workspace).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from weighbridge.catalog import Catalog
from weighbridge.config.mirror_file import mirror_of
from weighbridge.config.settings import Settings
from weighbridge.config.webhook_secret import signing_key
from weighbridge.domain.clock import utc_now
from weighbridge.domain.mirror import MirrorSettings
from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.webhooks import SigningKey
from weighbridge.errors import InvalidConfiguration
from weighbridge.intake.branch_questions import BranchQuestions
from weighbridge.intake.callers import Callers
from weighbridge.intake.clearances import Clearances
from weighbridge.intake.engine_pool import EnginePool
from weighbridge.intake.flights import Flights
from weighbridge.intake.gguf_facts import GgufReadings
from weighbridge.intake.hub_permits import HubTokens
from weighbridge.intake.issuer import issuer_of
from weighbridge.intake.kept_images import KeptImages
from weighbridge.intake.kept_models import KeptModels
from weighbridge.intake.open_transits import OpenTransits
from weighbridge.intake.opening import open_hub_catalog
from weighbridge.intake.receipts import ReceiptCounts
from weighbridge.intake.recipients import Recipients
from weighbridge.intake.uses import UseCounts
from weighbridge.registries import REGISTRIES
from weighbridge.registries.interface import Registry
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.reading import BlobReadings

if TYPE_CHECKING:
    from weighbridge.catalog.hub_models import HubCatalog


def untimed(seconds: float) -> None:
    """Ignore the time."""


class Resources:
    """What all workspaces of a process share; safe for threads.

    Attributes:
        settings: the settings they were opened with.
        store: the blob store.
        catalog: the catalog.
        branch_questions: asks Hubs what commits branches are at.
        clock: returns the current time.
        callers: knows who sends a key, or a token of the issuer.
        clearances: callers who may have bytes of a version.
        images: the images of versions that clients of OCI registries asked for lately.
        flights: work for which several requests wait.
        hub_tokens: knows what tokens of Hubs may read.
        kept: models and versions that were read lately.
        open_transits: models that are handed on before their verdict.
        readings: opens blobs to give them out.
        receipts: counts how much of which file who got.
        recipients: records who is given files.
        uses: counts the requests for versions.
        pool: the scanners.
        scan_slots: limits how many blobs are scanned at once.
        received: is called with the bytes that a job receives from a source, as they come.
        took: is called with the seconds that a file of a source took.
    """

    def __init__(
        self, settings: Settings, store: LocalBlobStore, catalog: Catalog, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.settings, self.store, self.catalog, self.clock = settings, store, catalog, clock
        self.pool = EnginePool(settings)
        self.scan_slots = BoundedSemaphore(settings.slots)
        self.callers = Callers(catalog, clock, issuer_of(settings))
        self.branch_questions = BranchQuestions(catalog.branches)
        self.clearances = Clearances()
        self.flights = Flights(settings.folder)
        self.open_transits = OpenTransits()
        self.hub_tokens = HubTokens()
        self.kept = KeptModels(catalog)
        self.readings = BlobReadings(store)
        self.images = KeptImages(store, GgufReadings(store))
        self.received: Heard = unheard
        self.took: Callable[[float], None] = untimed
        self.receipts = ReceiptCounts(catalog, clock)
        self.recipients = Recipients(catalog, clock)
        self.uses = UseCounts(catalog, clock)
        self._registries: dict[tuple[str, str], Registry] = {}
        self._opening_hub = Lock()
        self._hub_catalog: HubCatalog | None = None

    @cached_property
    def reading_is_open(self) -> bool:
        """Whether the API and the mirror can be read without a key, as the settings say."""
        return self.settings.reading_is_open

    @cached_property
    def signing_key(self) -> SigningKey:
        """The operator's secret of webhooks; it is read, or made, when it is first needed."""
        return signing_key(self.settings)

    @cached_property
    def mirror(self) -> MirrorSettings:
        """The Hubs that models are taken from, and what a request for an unknown model does; read when first needed.

        Raises:
            InvalidConfiguration: its file is wrong.
        """
        return mirror_of(self.settings)

    @cached_property
    def via(self) -> str:
        """What requests to a Hub say of this installation: a Hub that is its own mirror refuses to be asked by it."""
        return f"1.1 weighbridge-{self.catalog.branches.identity()}"

    @property
    def hub_catalog(self) -> HubCatalog:
        """The local catalogue of the Hub; it is opened when it is first needed.

        Raises:
            CatalogError: it cannot be opened.
        """
        with self._opening_hub:
            if self._hub_catalog is None:
                self._hub_catalog = open_hub_catalog(self.settings)
            return self._hub_catalog

    def close_hub_catalog(self) -> None:
        """Close the catalogue of the Hub where it was opened."""
        with self._opening_hub:
            if self._hub_catalog is not None:
                self._hub_catalog.close()
                self._hub_catalog = None

    def registry_at(self, name: str, address: str = "") -> Registry:
        """Return the registry of a kind at an address that a publication names; without one, that of the settings.

        Raises:
            InvalidConfiguration: there is no such kind.
        """
        if name not in REGISTRIES:
            raise InvalidConfiguration(f"There is no registry “{name}”.", f"Known ones: {', '.join(REGISTRIES)}.")
        if (name, "") not in self._registries:
            self._registries[name, ""] = REGISTRIES[name](self.settings, "")
        configured = self._registries[name, ""]
        if address in ("", configured.address):
            return configured  # It has the credentials.
        if (name, address) not in self._registries:
            self._registries[name, address] = REGISTRIES[name](self.settings, address)
        return self._registries[name, address]
