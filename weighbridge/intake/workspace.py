"""A workspace: the resources of the process as one asker may use them, with the rules for runs on behalf of others.

Not here: the work itself (intake.steps), or what lives longer than one asker's work (intake.resources).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from weighbridge.catalog import Catalog
from weighbridge.config.lock_file import read_lock_of
from weighbridge.config.models_file import ModelEntry, read_models, select
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace, place_name
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.mirror import Upstream
from weighbridge.domain.name_patterns import matches
from weighbridge.domain.permits import LoadingRules
from weighbridge.domain.policy import Policy
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.source_kinds.hub import DEFAULT_ENDPOINT
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.asker import Asker
from weighbridge.intake.engine_pool import OpenEngines
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.resources import Resources
from weighbridge.net.auth import Auth
from weighbridge.net.credentials import read_auth, upstream_auth
from weighbridge.net.on_behalf import limited, refuse_file, refuse_place, refuse_weaker, taken
from weighbridge.net.pace import Pace
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.registries.interface import Registry
from weighbridge.scanners import import_scanners
from weighbridge.sources import import_source, open_source
from weighbridge.sources.interface import Source
from weighbridge.store.local import LocalBlobStore

if TYPE_CHECKING:
    from weighbridge.intake.scanning import Engines

#: The content of a lock, by model name: the URI and the manifest.
Locks = Mapping[str, tuple[str, Manifest]]


class Workspace:
    """Everything that one asker's work uses. Its parts are safe to use from several threads.

    Args:
        resources: those of the process.
        asker: the asker.

    Attributes:
        resources: those of the process.
        asker: the asker.
        retrying: how often requests to a source that is down or busy are retried; `retrying.stopped` ends its waits.
    """

    def __init__(self, resources: Resources, asker: Asker) -> None:
        self.resources, self.asker = resources, asker
        self._catalog = resources.catalog.acting(asker.actor)
        self._closing = ExitStack()
        self._store = self._closing.enter_context(resources.store.leased())
        self.retrying = Retrying()
        self._opening = Lock()
        self._borrowed: list[OpenEngines] = []
        self._sources: dict[tuple[str, AuthPlace, Upstream], Source] = {}
        self._policies: dict[str, Policy] = {}
        self._locks: dict[str, Locks] = {}

    @property
    def settings(self) -> Settings:
        """The settings of the resources."""
        return self.resources.settings

    @property
    def store(self) -> LocalBlobStore:
        """The blob store; what it confirms is deleted by no collection until the workspace is closed."""
        return self._store

    @property
    def catalog(self) -> Catalog:
        """The catalog, for changes of the asker."""
        return self._catalog

    @property
    def scan_slots(self) -> BoundedSemaphore:
        """The limit on blobs that the process scans at once."""
        return self.resources.scan_slots

    @property
    def clock(self) -> Callable[[], datetime]:
        """Returns the current time."""
        return self.resources.clock

    @property
    def progress(self) -> Progress:
        """Receives the progress of each step."""
        return self.asker.progress

    @property
    def pace(self) -> Pace:
        """The slowest pace accepted of a source."""
        chosen = self.settings
        return Pace(chosen.timeout_s, chosen.lowest_speed, chosen.max_unpromised_size, chosen.max_transfer_s)

    @property
    def engines(self) -> Engines:
        """The scanners with their engines, the same ones for all of this work. Raises ScannerUnavailable."""
        with self._opening:
            if not self._borrowed:
                self._borrowed.append(self.resources.pool.borrow())
            return self._borrowed[0].engines

    def close(self) -> None:
        """Return the borrowed scanners, and rely on no blob any more."""
        with self._opening:
            while self._borrowed:
                self.resources.pool.give_back(self._borrowed.pop())
        self._closing.close()

    def import_ahead(self, requests: Sequence[IngestRequest]) -> None:
        """Import what requests are served with, in the thread that calls it, before it starts others.

        A module that one thread imports is half there for the next one: SQLAlchemy's parts, which a registry needs,
        find each other meanwhile, and a statement of the catalog's fails. What cannot be imported or opened is
        for the work that needs it to say.
        """
        import_scanners()
        for kind in {request.ref.kind for request in requests}:
            with suppress(WeighbridgeError):
                import_source(kind)
        for name in {name for request in requests for name in request.registries or self.settings.registries}:
            with suppress(WeighbridgeError):
                self.registry_at(name)

    def heard_by(self, progress: Progress, run_url: str = "") -> Workspace:
        """Return this workspace, with everything open in it, for work of another run, which reports elsewhere."""
        lent = copy(self)
        lent.asker = replace(self.asker, progress=progress, run_url=run_url or self.asker.run_url)
        return lent

    def source(self, ref: ModelRef, place: AuthPlace) -> Source:
        """Return the source of a reference with the credentials kept at a place; opened once, to reuse connections.

        Raises:
            InvalidConfiguration: the place holds nothing, or this run may not name it; or the mirror's file is wrong.
        """
        key = (ref.kind, place, self.resources.mirror.upstream_of(ref))
        if key not in self._sources:
            self._sources[key] = open_source(ref.kind, self.source_settings(ref, place))
        return self._sources[key]

    def source_settings(self, ref: ModelRef, place: AuthPlace) -> SourceSettings:
        """Return the settings of the source of a reference. Raises as `source` does."""
        kind, upstream = ref.kind, self.resources.mirror.upstream_of(ref)
        endpoint = upstream.base_url or self.settings.endpoint(kind)
        return SourceSettings(
            auth=self._auth(place, kind, endpoint, upstream),
            endpoint=endpoint,
            timeout_s=upstream.timeout_s or self.settings.timeout_s,
            max_redirects=self.settings.max_redirects if upstream.max_redirects is None else upstream.max_redirects,
            addresses=self.settings.addresses(kind, on_behalf=self.asker.on_behalf, endpoint=endpoint),
            connections=self.settings.connections,
            file_roots=self.settings.source_roots if self.asker.is_stranger else None,
            retrying=self.retrying,
            lowest_speed=self.settings.lowest_speed,
            max_transfer_s=self.settings.max_transfer_s,
            via=self.resources.via,
        )

    def _auth(self, place: AuthPlace, kind: str, endpoint: str, upstream: Upstream) -> Auth:
        hub = self.settings.endpoint(kind) or DEFAULT_ENDPOINT
        own = None if place_name(place) else upstream_auth(upstream, kind, hub, self.asker.load_block)
        if own is not None:
            return own
        if not self.asker.is_stranger:
            return read_auth(place, kind, endpoint, self.asker.load_block)
        refuse_place(place, self.settings.token_places)
        auth = read_auth(place, kind, endpoint, self.asker.load_block)
        return limited(auth, place, kind, endpoint, self.settings.token_places)

    def entries(self, models: str, only: str = "", *, optional: bool = False) -> tuple[ModelEntry, ...]:
        """Return what a models file says of the models that `only` names, separated by commas; of all when empty.

        Where there is no such file and it is `optional`, that is nothing.

        Raises:
            InvalidConfiguration: it cannot be read, lacks such a model, or this run may not name it.
        """
        path = self._models_file(models)
        entries = () if optional and not path.exists() else read_models(path)
        return select(entries, only) if only else entries

    def locks(self, models: str) -> Locks:
        """Return the content of a models file's lock. Raises as `entries` does."""
        if models not in self._locks:
            self._locks[models] = read_lock_of(self._models_file(models))
        return self._locks[models]

    def _models_file(self, models: str) -> Path:
        if self.asker.is_stranger:
            refuse_file(Path(models), self.asker.folder, self.settings.source_roots)
        return Path(models)

    def policy(self, request: IngestRequest) -> Policy:
        """Return the policy of a request; a stranger's may not be weaker than the operator's.

        Raises:
            InvalidConfiguration: it cannot be read, or this run may not choose it.
        """
        if not (request.policy and self.asker.is_stranger):
            return self._policy(request.policy or self.settings.policy)
        if request.policy not in PRESETS:
            refuse_file(Path(request.policy), self.asker.folder, remedy=f"Presets: {', '.join(PRESETS)}.")
        wanted = self._policy(request.policy)
        if request.policy not in self.settings.request_policies:
            refuse_weaker(wanted, self._policy(self.settings.policy))
        return wanted

    def _policy(self, wanted: str) -> Policy:
        if wanted not in self._policies:
            self._policies[wanted] = load_policy(wanted, self.asker.folder)
        return self._policies[wanted]

    def operators_policy(self) -> Policy:
        """Return the policy of the settings. Raises InvalidConfiguration."""
        return self._policy(self.settings.policy)

    def loading(self, policy: str = "") -> LoadingRules:
        """Return what a policy says of loading models, the configured one when empty. Raises InvalidConfiguration."""
        return LoadingRules(self._policy(policy or self.settings.policy).loading, self.settings.converted_folder)

    def refuse_taken(self, request: IngestRequest, ref: ModelRef, origins: Collection[tuple[str, ...]]) -> None:
        """Refuse a model's name that belongs to another source, unless its owner allows this source to continue it.

        Args:
            request: the request.
            ref: the model's reference, as the source resolved it.
            origins: the origins of the versions of that name.

        Raises:
            NameTaken: it belongs to another source.
        """
        if not origins or ref.origin in origins:
            return
        if self.asker.is_stranger:
            continued = request.another_source and self.asker.may_continue
            if continued or any(matches(request.model, pattern) for pattern in self.settings.shared_names):
                return
        elif request.another_source or self.asker.vouched:
            return
        raise taken(request.model, ref, origins, of_strangers=self.asker.is_stranger)

    def registries(self, request: IngestRequest) -> tuple[Registry, ...]:
        """Return the registries a request is published to. Raises InvalidConfiguration for one that is unknown."""
        return tuple(self.registry_at(name) for name in request.registries or self.settings.registries)

    def registry_at(self, name: str, address: str = "") -> Registry:
        """Return a registry, as `Resources.registry_at` does. Raises InvalidConfiguration."""
        return self.resources.registry_at(name, address)


@contextmanager
def open_resources(settings: Settings) -> Iterator[Resources]:
    """Open the resources of a process; a private clamd that was started for them ends with them.

    Raises:
        CatalogError, StoreError: a part cannot be opened.
    """
    store = LocalBlobStore(settings.store_folder)
    with open_catalog(settings) as catalog, ExitStack() as closing:
        resources = Resources(settings, store, catalog)
        closing.callback(resources.pool.close)
        closing.callback(resources.branch_questions.close)
        closing.callback(resources.close_hub_catalog)
        yield resources


@contextmanager
def workspace_of(resources: Resources, asker: Asker) -> Iterator[Workspace]:
    """Yield a workspace for one asker and one piece of work; an interrupt ends its waits, and no other asker's."""
    workspace = Workspace(resources, asker)
    try:
        yield workspace
    except BaseException as error:
        if not isinstance(error, Exception):  # After an interrupt, the results of running threads are not needed.
            workspace.retrying.stopped.set()
        raise
    finally:
        workspace.close()


@contextmanager
def open_workspace(
    settings: Settings,
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    load_block: Callable[[str, str], Auth] | None = None,
    on_behalf: bool = False,
    vouched: bool = False,
    actor: str = "",
    run_url: str = "",
) -> Iterator[Workspace]:
    """Open resources for one piece of work alone, as a command or a run does. The arguments are `Asker`'s.

    Raises:
        CatalogError, StoreError: a part cannot be opened.
    """
    place, heard = folder or Path.cwd(), progress or Silent()
    asker = Asker(heard, place, load_block, on_behalf=on_behalf, vouched=vouched, actor=actor, run_url=run_url)
    with open_resources(settings) as resources, workspace_of(resources, asker) as workspace:
        yield workspace
