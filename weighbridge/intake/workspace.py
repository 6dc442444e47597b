"""A workspace: everything one process needs to take models in, opened from the settings and closed together.

Not here: what is done with it (intake.steps).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from threading import BoundedSemaphore, Lock

from weighbridge.catalog import Catalog
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.clock import utc_now
from weighbridge.domain.policy import Policy
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidConfiguration
from weighbridge.intake.scanning import Engines
from weighbridge.net.auth import Auth
from weighbridge.net.credentials import read_auth
from weighbridge.net.on_behalf import limited, refuse_file, refuse_place, refuse_weaker, taken
from weighbridge.net.pace import Pace
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.registries import REGISTRIES
from weighbridge.registries.interface import Registry
from weighbridge.scanners import open_scanners
from weighbridge.sources import open_source
from weighbridge.sources.interface import Source
from weighbridge.store.local import LocalBlobStore


@dataclass
class Workspace:
    """What a run works with. Its parts are safe to use from several threads.

    Attributes:
        settings: how it was opened.
        store: the blobs.
        catalog: the facts.
        closing: ends with the workspace; what is opened only when needed is put on it.
        progress: hears how far each step is.
        folder: where models.yaml and policy.yaml are looked for.
        clock: tells the time.
        load_block: loads credentials for a source kind from a Prefect block, or None where Prefect is not in use.
        on_behalf: whether others than this process's user ask for models, so that private addresses are refused.
        retrying: how often a source that is out of reach or busy is asked again; `retrying.stopped` ends its waits.
        vouched: whether a file of the operator's own names those models, and so the places of secrets and the folders.
    """

    settings: Settings
    store: LocalBlobStore
    catalog: Catalog
    closing: ExitStack
    progress: Progress = field(default_factory=Silent)
    folder: Path = field(default_factory=Path.cwd)
    clock: Callable[[], datetime] = utc_now
    load_block: Callable[[str, str], Auth] | None = None
    on_behalf: bool = False
    vouched: bool = False
    retrying: Retrying = field(default_factory=Retrying)

    def __post_init__(self) -> None:
        self.scan_slots = BoundedSemaphore(self.settings.slots)
        self._opening = Lock()
        self._engines: list[Engines] = []
        self._sources: dict[tuple[str, AuthPlace], Source] = {}
        self._registries: dict[tuple[str, str], Registry] = {}
        self._policies: dict[str, Policy] = {}

    @property
    def pace(self) -> Pace:
        """What the bytes of a source are held to."""
        return Pace(self.settings.timeout_s, self.settings.lowest_speed, self.settings.max_unpromised_size)

    @property
    def engines(self) -> Engines:
        """The scanners with what they scan with, opened when first needed. Raises ScannerUnavailable."""
        with self._opening:
            if not self._engines:
                self._engines.append(Engines.of(self.closing.enter_context(open_scanners(self.settings))))
            return self._engines[0]

    def heard_by(self, progress: Progress) -> Workspace:
        """Return this workspace with everything that is open in it, for work that another listener hears of."""
        lent = copy(self)
        lent.progress = progress
        return lent

    def source(self, kind: str, place: AuthPlace) -> Source:
        """Return the source of a kind with the credentials kept at a place; opened once, so connections are reused.

        Raises:
            InvalidConfiguration: the place holds nothing, or is none that this run may name.
        """
        key = (kind, place)
        if key not in self._sources:
            endpoint = self.settings.endpoint(kind)
            settings = SourceSettings(
                auth=self._auth(place, kind, endpoint),
                endpoint=endpoint,
                timeout_s=self.settings.timeout_s,
                max_redirects=self.settings.max_redirects,
                addresses=self.settings.addresses(kind, on_behalf=self.on_behalf),
                connections=self.settings.connections,
                file_roots=self.settings.source_roots if self._of_strangers else None,
                retrying=self.retrying,
            )
            self._sources[key] = open_source(kind, settings)
        return self._sources[key]

    @property
    def _of_strangers(self) -> bool:
        return self.on_behalf and not self.vouched

    def _auth(self, place: AuthPlace, kind: str, endpoint: str) -> Auth:
        if not self._of_strangers:
            return read_auth(place, kind, endpoint, self.load_block)
        refuse_place(place, self.settings.token_places)
        auth = read_auth(place, kind, endpoint, self.load_block)
        return limited(auth, place, kind, endpoint, self.settings.token_places)

    def models_file(self, path: Path) -> Path:
        """Return a models file that a run names. Raises InvalidConfiguration where this run may not name it."""
        if self._of_strangers:
            refuse_file(path, self.folder, self.settings.source_roots)
        return path

    def policy(self, request: IngestRequest) -> Policy:
        """Return the policy a request is judged under: of strangers' ones none that is weaker than the operator's.

        Raises:
            InvalidConfiguration: it cannot be read, or this run may not choose it.
        """
        if not (request.policy and self._of_strangers):
            return self._policy(request.policy or self.settings.policy)
        if request.policy not in PRESETS:
            refuse_file(Path(request.policy), self.folder, remedy=f"Presets: {', '.join(PRESETS)}.")
        wanted = self._policy(request.policy)
        if request.policy not in self.settings.request_policies:
            refuse_weaker(wanted, self._policy(self.settings.policy))
        return wanted

    def _policy(self, wanted: str) -> Policy:
        if wanted not in self._policies:
            self._policies[wanted] = load_policy(wanted, self.folder)
        return self._policies[wanted]

    def refuse_taken(self, request: IngestRequest, ref: ModelRef, origins: Collection[tuple[str, ...]]) -> None:
        """Refuse a model's name that belongs to another source, unless its owner says that this one may go on with it.

        Args:
            request: what is wanted.
            ref: where it comes from, as the source names it.
            origins: where the versions of that name came from.

        Raises:
            NameTaken: it belongs to another source.
        """
        if not origins or ref.origin in origins:
            return
        if self._of_strangers:
            if any(fnmatchcase(request.model, pattern) for pattern in self.settings.shared_names):
                return
        elif request.another_source or self.vouched:
            return
        raise taken(request.model, ref, origins, of_strangers=self._of_strangers)

    def registries(self, request: IngestRequest) -> tuple[Registry, ...]:
        """Return the registries a request is published to. Raises InvalidConfiguration for one that is unknown."""
        return tuple(self.registry_at(name) for name in request.registries or self.settings.registries)

    def registry_at(self, name: str, address: str = "") -> Registry:
        """Return the registry of a kind at an address that a publication names; without one, that of the settings.

        Raises:
            InvalidConfiguration: there is no such kind.
        """
        if name not in REGISTRIES:
            known = ", ".join(REGISTRIES)
            raise InvalidConfiguration(f"“{name}” is no registry.", f"Known ones: {known}.")
        if (name, "") not in self._registries:
            self._registries[name, ""] = REGISTRIES[name](self.settings, "")
        configured = self._registries[name, ""]
        if address in ("", configured.address):
            return configured  # It has the credentials.
        if (name, address) not in self._registries:
            self._registries[name, address] = REGISTRIES[name](self.settings, address)
        return self._registries[name, address]


def open_catalog(settings: Settings) -> Catalog:
    """Open the catalog that the settings name, with its folder where it is SQLite. Raises CatalogError."""
    return Catalog.open(settings.database_url, utc_now, timeout_s=settings.catalog_timeout_s)


@contextmanager
def open_workspace(
    settings: Settings,
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    load_block: Callable[[str, str], Auth] | None = None,
    on_behalf: bool = False,
    vouched: bool = False,
) -> Iterator[Workspace]:
    """Open a workspace; what it started (a private clamd) ends with it. The arguments are `Workspace`'s.

    Raises:
        CatalogError, StoreError: a part cannot be opened.
    """
    store = LocalBlobStore(settings.store_folder)
    with open_catalog(settings) as catalog, store.leased(), ExitStack() as closing:
        workspace = Workspace(
            settings,
            store,
            catalog,
            closing,
            progress=progress or Silent(),
            folder=folder or Path.cwd(),
            load_block=load_block,
            on_behalf=on_behalf,
            vouched=vouched,
        )
        try:
            yield workspace
        except BaseException as error:
            if not isinstance(error, Exception):  # An interrupt: threads that still work have nobody to work for.
                workspace.retrying.stopped.set()
            raise
