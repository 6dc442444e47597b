"""The parameters of `GET /models`: filters, order and part of the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from weighbridge.catalog import ModelQuery
from weighbridge.catalog.queries import Sort
from weighbridge.domain.decision import VersionStatus
from weighbridge.web.api.cursors import MAX_LIMIT, MAX_NUMBER, cursor_of, key_of

Text = Annotated[str, Field(max_length=300)]
Number = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
_TIMES = ("created", "updated")


class Listing(BaseModel):
    """Which models, in which order, and which part of the list."""

    model_config = ConfigDict(extra="forbid")

    search: Text = Field("", description="Part of the name, architecture, task, a tag, or the description's beginning.")
    architecture: Text = Field("", examples=["llama"])
    license: Text = Field("", description="As `license_type`.", examples=["apache-2.0"])
    task: Text = Field("", examples=["text-generation"])
    tag: list[Text] = Field([], max_length=10, description="Repeated for several, all of which a model must have.")
    status: VersionStatus | None = Field(None, description="Of the version that the list shows.")
    gated: bool | None = None
    min_size: Number | None = Field(None, description="Bytes.")
    max_size: Number | None = Field(None, description="Bytes.")
    min_params: Number | None = Field(
        None, description="Number of weights; models that do not say theirs are left out."
    )
    max_params: Number | None = Field(
        None, description="Number of weights; models that do not say theirs are left out."
    )
    sort: Sort = Field("name", description="What the list is sorted by, and then by name.")
    order: Literal["asc", "desc"] = "asc"
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Models in one part.")
    cursor: str = Field("", max_length=4096, description="`next` of the part before; empty for the first part.")

    @model_validator(mode="after")
    def refuse_other_cursors(self) -> Self:
        """Refuse a cursor of a list in another order."""
        self.after()
        return self

    def after(self) -> tuple[Any, str] | None:
        """Return the sort key in the cursor. Raises ValueError where it belongs to a list in another order."""
        key = key_of(self.cursor)
        if key is None:
            return None
        wanted = str if self.sort in ("name", *_TIMES) else int
        if len(key) != 4 or key[:2] != [self.sort, self.order] or type(key[2]) is not wanted or type(key[3]) is not str:
            raise ValueError("the cursor is of a list in another order: keep `sort` and `order`, or leave it out")
        value = datetime.fromisoformat(str(key[2])) if self.sort in _TIMES else key[2]
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError("the cursor is none that this server made")
        return value, key[3]

    def cursor_after(self, key: tuple[Any, str]) -> str:
        """Return the cursor of the part after the model with a sort key."""
        value = key[0].isoformat() if isinstance(key[0], datetime) else key[0]
        return cursor_of([self.sort, self.order, value, key[1]])

    def query(self, names: Sequence[str]) -> ModelQuery:
        """Return the query of the catalog, for models whose names match one of the patterns; for all without any."""
        return ModelQuery(
            search=self.search,
            architecture=self.architecture,
            licence=self.license,
            task=self.task,
            status=self.status or "",
            tags=tuple(self.tag),
            gated=self.gated,
            min_size=self.min_size,
            max_size=self.max_size,
            min_parameters=self.min_params,
            max_parameters=self.max_params,
            names=tuple(names),
            sort=self.sort,
            descending=self.order == "desc",
            after=self.after(),
            limit=self.limit + 1,
        )
