"""Whether the token in use has access to a gated model of the Hub: asked once, and remembered with its time.

Not here: how the Hub is asked (net.hub.access), and the words for a person (domain.gated_access).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from weighbridge.domain.gated_access import NAMING_ONE, way_in
from weighbridge.domain.hub_models import Gated, HubModel
from weighbridge.domain.text import shown
from weighbridge.errors import AccessDenied, AddressRefused, ModelNotFound, WeighbridgeError

if TYPE_CHECKING:
    from weighbridge.catalog.hub_models import HubCatalog
    from weighbridge.intake.hub_questions import HubQuestions

#: For how long an answer counts: access is seldom taken back, and who was just refused goes and accepts the terms.
_GRANTED_FOR, _DENIED_FOR = timedelta(days=1), timedelta(minutes=5)


#: The most characters of the Hub's own words.
_WORDS = 300


class AccessState(StrEnum):
    """Whether the files of a model can be had."""

    PUBLIC = "public"
    GRANTED = "granted"
    DENIED = "denied"
    NO_TOKEN = "no-token"  # noqa: S105 (a state)
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Access:
    """Whether the files of a model of the Hub can be had.

    Attributes:
        state: of `AccessState`.
        page: the address of the page to visit.
        checked_at: when the Hub said so; None where it was not asked.
        what_to_do: for a person, where access is missing or may be; empty otherwise.
    """

    state: AccessState
    page: str
    checked_at: datetime | None = None
    what_to_do: str = ""

    @classmethod
    def of(
        cls,
        state: AccessState,
        model: HubModel,
        page: str,
        checked_at: datetime | None = None,
        naming: str = NAMING_ONE,
    ) -> Access:
        """Return the access to a model, with what a person does about it."""
        if state in (AccessState.PUBLIC, AccessState.GRANTED):
            return cls(state, page, checked_at)
        has_token = state is AccessState.DENIED
        steps = way_in(model.gated, model.id, page, has_token=has_token, name_token=naming, refused=False)
        return cls(state, page, checked_at, steps)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "state": str(self.state),
            "checked_at": self.checked_at.isoformat() if self.checked_at else None,
            "page": self.page,
            "what_to_do": self.what_to_do,
        }


def access_to(
    model: HubModel,
    page: str,
    hub: HubCatalog,
    questions: HubQuestions | None,
    now: datetime,
    *,
    live: bool = False,
) -> tuple[Access, str]:
    """Return whether the token in use has access to a model, and a note where the Hub could not be asked.

    Args:
        model: as the Hub lists it.
        page: the address of its page.
        hub: the catalogue, which remembers answers by a hash of the token.
        questions: asks the Hub; None where this caller may not have it asked.
        now: the current time.
        live: whether the Hub is asked though an answer is remembered.

    Raises:
        CatalogError: the catalogue cannot be used.
    """
    if model.gated is Gated.NO:
        return Access.of(AccessState.PUBLIC, model, page), ""
    if questions is None:
        return Access.of(AccessState.UNKNOWN, model, page), ""
    try:
        token_hash = questions.token_hash(model.id)
    except WeighbridgeError as error:  # The place of the token holds none.
        return Access.of(AccessState.NO_TOKEN, model, page, naming=questions.naming), questions.note_of(error)
    if not token_hash:
        return Access.of(AccessState.NO_TOKEN, model, page, naming=questions.naming), ""
    known = hub.access(model.id, token_hash)
    if known is not None and not live and now - known[1] < (_GRANTED_FOR if known[0] else _DENIED_FOR):
        return _told(*known, model, page, questions.naming), ""
    try:
        allowed, words = _ask(model.id, questions)
    except WeighbridgeError as error:
        note = questions.note_of(error)
        if known is None:
            return Access.of(AccessState.UNKNOWN, model, page, naming=questions.naming), note
        return _told(*known, model, page, questions.naming), note
    hub.remember_access(model.id, token_hash, allowed, now)
    return _told(allowed, now, model, page, questions.naming), f"The Hub says: “{words}”." if words else ""


def _ask(id_: str, questions: HubQuestions) -> tuple[bool, str]:
    """Return whether the token has access, and the Hub's own words where it has none: a request may be waiting."""
    try:
        questions.check_access(id_)
    except (AccessDenied, ModelNotFound) as error:
        if isinstance(error, AddressRefused) or error.facts.get("credentials"):
            raise
        return False, shown(error.facts.get("words", ""), _WORDS)
    return True, ""


def _told(allowed: bool, at: datetime, model: HubModel, page: str, naming: str) -> Access:
    return Access.of(AccessState.GRANTED if allowed else AccessState.DENIED, model, page, at, naming)
