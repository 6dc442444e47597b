"""A request to refresh the catalogue of the whole Hub: what of it to go through. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.hub_models import PassKind
from weighbridge.errors import InvalidConfiguration

#: Models of a page that the Hub is asked for, which is the most that it gives.
PAGE_SIZE = 1000


@dataclass(frozen=True)
class RefreshRequest:
    """One refresh to do.

    Attributes:
        kind: what it goes through.
        filters: tags that a partial one wants, as the Hub's own `filter`.
        limit: the most models of a partial one, the most downloaded ones first; 0 for all.
        page_size: models of a page; a Hub may give fewer.
        auth: where the Hub's token is kept; all empty for the variables of the Hub's own tools.

    Raises:
        InvalidConfiguration: filters or a limit belong to a partial refresh only, or a number makes no sense.
    """

    kind: PassKind = PassKind.FULL
    filters: tuple[str, ...] = ()
    limit: int = 0
    page_size: int = PAGE_SIZE
    auth: AuthPlace = field(default_factory=AuthPlace)

    def __post_init__(self) -> None:
        if self.kind is PassKind.PARTIAL and not (self.filters or self.limit):
            raise InvalidConfiguration(
                "A partial refresh needs a filter or a limit.", "Add --filter text-generation, or refresh in full."
            )
        if self.kind is not PassKind.PARTIAL and (self.filters or self.limit):
            raise InvalidConfiguration("Filters and limits belong to a partial refresh.", "Ask for a partial one.")
        if self.limit < 0 or not 1 <= self.page_size <= PAGE_SIZE:
            raise InvalidConfiguration(
                "A refresh has a limit of at least 1 and pages of 1 to 1,000 models.", "Correct the numbers."
            )

    @property
    def selection(self) -> str:
        """What limits a partial one, as text, the same for each way to say it; empty otherwise."""
        if self.kind is not PassKind.PARTIAL:
            return ""
        return " ".join([*sorted(set(self.filters)), *([f"limit={self.limit}"] if self.limit else [])])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, which `from_json` reads back; they hold no secret and may be stored in clear."""
        return {
            "kind": self.kind.value,
            "filters": list(self.filters),
            "limit": self.limit,
            "page_size": self.page_size,
            "token_env": self.auth.token_env,
            "token_file": self.auth.token_file,
            "auth_block": self.auth.block,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the request that `to_json` wrote, or one from parameters of the same names; none is required.

        Raises:
            InvalidConfiguration: a value cannot be read.
        """
        try:
            kind = PassKind(content.get("kind") or PassKind.FULL)
            limit, page_size = int(content.get("limit") or 0), int(content.get("page_size") or PAGE_SIZE)
        except (ValueError, TypeError) as error:
            raise InvalidConfiguration(
                f"A refresh cannot be read: {error}.", f"Its kinds are {', '.join(PassKind)}."
            ) from error
        places = (content.get(name) or "" for name in ("token_env", "token_file", "auth_block"))
        return cls(kind, tuple(content.get("filters") or ()), limit, page_size, AuthPlace(*places))
