"""Questions to the Hub itself, asked while somebody waits: one model, a search, the right to read a gated model.

They end soon where the Hub does not answer, and few are asked at once. Not here: what becomes of the answers
(intake.hub_lookup), and the list of all models (intake.hub_refresh).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import BoundedSemaphore

from weighbridge.domain.access import hash_of
from weighbridge.domain.auth_place import AuthPlace, place_name
from weighbridge.domain.gated_access import FOR_A_SERVER, NAMING_ONE
from weighbridge.domain.hub_models import HubModel, HubQuery
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.hub import HUGGINGFACE
from weighbridge.errors import AccessDenied, ModelNotFound, SourceUnavailable, WeighbridgeError
from weighbridge.intake.hub_curated import Curated
from weighbridge.intake.workspace import Workspace
from weighbridge.net.hub.listing import ModelListing
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.sources import open_source
from weighbridge.sources.interface import Permitting

#: Seconds without a byte after which the Hub counts as silent here, and questions that a process asks at once.
_TIMEOUT_S, _MOST = 10.0, 4
#: How the Hub answers without a token about what does not exist, as about what is private.
_HIDDEN = 401
_asking = BoundedSemaphore(_MOST)


class HubQuestions:
    """Asks the Hub for one caller.

    Args:
        workspace: of the caller: its rules say whether a token may be used, and which.
        place: where the Hub's token is kept; all empty for the places of models.yaml, else the Hub's own variable.
        curated: the models of models.yaml, with the places of their tokens.

    Attributes:
        naming: how a token is named by this caller, for messages.
    """

    def __init__(self, workspace: Workspace, place: AuthPlace | None = None, curated: Curated | None = None) -> None:
        self._workspace, self._place, self._curated = workspace, place or AuthPlace(), curated or Curated()
        self.naming = FOR_A_SERVER if workspace.asker.on_behalf else NAMING_ONE

    def model(self, id_: str) -> HubModel:
        """Return a model as the Hub describes it now.

        Raises:
            ModelNotFound: it shows no such model.
            SourceError: it cannot be asked, or makes no sense.
        """
        settings = self._settings(id_)
        try:
            with self._turn():
                return ModelListing(settings).model(id_)
        except AccessDenied as error:
            if error.facts.get("http_status") == _HIDDEN and not settings.auth.header(settings.endpoint):
                raise ModelNotFound(f"The Hub shows no public model {id_}.", "Check its name.") from error
            raise

    def search(self, query: HubQuery) -> list[HubModel]:
        """Return the models that the Hub finds, of which not each need fit the query. Raises SourceError."""
        with self._turn():
            return ModelListing(self._settings("")).search(query)

    def token_hash(self, id_: str) -> str:
        """Return a hash of the token that goes to the Hub with questions about a model; empty where none does.

        Raises:
            InvalidConfiguration: the place of the token holds none.
        """
        settings = self._settings(id_)
        return hash_of(settings.auth.token) if settings.auth.header(settings.endpoint) else ""

    def check_access(self, id_: str) -> None:
        """Return if the token may read a model. Raises as `sources.interface.Permitting.check_access` does."""
        with self._turn():
            source = open_source(HUGGINGFACE.name, self._settings(id_))
            assert isinstance(source, Permitting)
            source.check_access(ModelRef(HUGGINGFACE.name, id_))

    def note_of(self, error: WeighbridgeError) -> str:
        """Return a note about a question that failed; for others, without words that may name our machines."""
        detail = "." if self._workspace.asker.on_behalf else f": {error.problem}"
        return f"The Hub cannot be asked now{detail}"

    def _settings(self, id_: str) -> SourceSettings:
        place = self._place if place_name(self._place) else self._curated.place(id_)
        if self._workspace.asker.is_stranger and not place_name(self._place):
            place = AuthPlace()  # Others name no places; models.yaml names them for the operator's own runs.
        usual = self._workspace.source_settings(ModelRef(HUGGINGFACE.name, id_ or "hub/search"), place)
        once = Retrying(attempts=1)
        return replace(usual, timeout_s=min(usual.timeout_s, _TIMEOUT_S), retrying=once)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not _asking.acquire(blocking=False):
            raise SourceUnavailable("The Hub is being asked by others.", "Ask again in some seconds.", retry_after_s=2)
        try:
            yield
        finally:
            _asking.release()
