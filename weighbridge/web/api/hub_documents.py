"""What answers say of the Hub's models, and the parameters of their list.

Not here: the answers (intake.hub_answers).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from weighbridge.catalog.column_types import storable
from weighbridge.domain.hub_models import HubQuery
from weighbridge.domain.hub_queries import gated_states
from weighbridge.web.api.cursors import MAX_LIMIT, MAX_NUMBER
from weighbridge.web.api.documents import Page

Text = Annotated[str, Field(max_length=300), AfterValidator(storable)]
Number = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
GatedWord = Literal["no", "yes", "auto", "manual", "restricted", "unknown", "false", "true"]
HubOrder = Literal["downloads", "likes", "trendingScore", "createdAt", "lastModified", "parameters", "memory", "id"]
_GATED = "`yes` (or the Hub's `true`) is every kind of gate; repeated for several."
_KNOWN_ONLY = "models whose number is not known are left out"


class HubListing(BaseModel):
    """Which of the Hub's models, in which order, and which part of the list; the Hub's own words where it has them."""

    model_config = ConfigDict(extra="forbid")

    search: Text = Field("", description="Parts of the name and of tags, all of which a model must have.")
    filter: list[Text] = Field(
        [], max_length=10, description="Tags, all of which a model must have.", examples=[["text-generation"]]
    )
    author: Text = Field("", description="User or organisation.", examples=["Qwen"])
    library: Text = Field("", examples=["transformers"])
    license: Text = Field("", description="In the Hub's words.", examples=["apache-2.0"])
    gated: list[GatedWord] = Field([], max_length=8, description=_GATED, examples=[["no"]])
    min_params: Number | None = Field(None, description=f"Number of weights; {_KNOWN_ONLY}.")
    max_params: Number | None = Field(None, description=f"Number of weights; {_KNOWN_ONLY}.")
    max_memory: Number | None = Field(
        None, description=f"Bytes of GPU memory, by the estimate; {_KNOWN_ONLY}.", examples=[16_000_000_000]
    )
    curated: bool = Field(False, description="Only models that the server's models.yaml names.")
    vanished: bool = Field(False, description="Also models that are no longer on the Hub.")
    live: bool = Field(False, description="Ask the Hub itself; it needs a key.")
    sort: HubOrder = Field("downloads", description="What the list is sorted by.")
    order: Literal["asc", "desc"] = "desc"
    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="Models in one part.")
    cursor: str = Field("", max_length=4096, description="`next` of the part before; empty for the first part.")

    def query(self) -> HubQuery:
        """Return the query of the catalogue."""
        return HubQuery(
            search=self.search,
            filters=tuple(self.filter),
            author=self.author,
            library=self.library,
            licence=self.license,
            gated=gated_states(self.gated),
            min_parameters=self.min_params,
            max_parameters=self.max_params,
            max_memory_size=self.max_memory,
            include_vanished=self.vanished,
            sort=self.sort,
            descending=self.order == "desc",
            limit=self.limit,
            cursor=self.cursor,
        )


class HereDocument(BaseModel):
    """Whether a model of the Hub is here."""

    state: Literal["passed", "running", "withdrawn", "quarantined", "skipped", "failed", "absent"]
    name: str | None = Field(description="Its name here.", examples=["meta-llama/Llama-3.1-8B-Instruct"])
    version: str | None = Field(examples=["1.0.0"])
    commit: str | None = Field(description="The Hub's commit that is here.")
    is_current: bool | None = Field(description="Whether the Hub still has that commit; null where it is not known.")
    job: str | None = Field(description="The job that takes it in now.")
    reason: str = Field(description="Why it is quarantined or withdrawn, or the last attempt failed; or empty.")


class HubModelDocument(BaseModel):
    """A model of the Hub, with the Hub's own fields; null where the Hub does not say."""

    id: str = Field(examples=["meta-llama/Llama-3.1-8B-Instruct"])
    author: str
    label: str = Field(examples=["meta-llama/Llama-3.1-8B-Instruct (16GB, 8B) [Terms]"])
    gated: bool | Literal["auto", "manual"] | None = Field(
        description="`auto` asks for terms, `manual` for approval; null where the Hub does not say."
    )
    gated_meaning: str = Field(examples=["Terms Required"])
    page: str = Field(description="Its page on the Hub, where access is asked for.")
    disabled: bool = Field(description="Whether the Hub has closed it.")
    pipeline_tag: str | None = Field(examples=["text-generation"])
    library_name: str | None = Field(examples=["transformers"])
    license: str | None = Field(examples=["llama3.1"])
    tags: list[str]
    base_models: list[str]
    downloads: int | None = Field(description="In 30 days.")
    downloadsAllTime: int | None  # noqa: N815 (the Hub's word)
    likes: int | None
    trendingScore: float | None  # noqa: N815 (the Hub's word)
    createdAt: str | None = Field(description="ISO 8601, UTC.")  # noqa: N815 (the Hub's word)
    lastModified: str | None = Field(description="ISO 8601, UTC.")  # noqa: N815 (the Hub's word)
    sha: str | None = Field(description="The commit of its default branch.")
    parameters: int | None = Field(description="Number of weights.", examples=[8030261248])
    parameters_from: str | None = Field(description="What said so: safetensors, gguf, config or name.")
    weights_size: int | None = Field(description="Bytes of weights.")
    memory_size: int | None = Field(description="Bytes of GPU memory, estimated.", examples=[16000000000])
    params: str = Field(description="Number of weights for people; or empty.", examples=["8B"])
    vram: str = Field(description="Estimated GPU memory for people; or empty.", examples=["16GB"])
    curated: bool = Field(description="Whether the server's models.yaml names it.")
    seen_at: str = Field(description="When the Hub last said so; ISO 8601, UTC.")
    vanished_at: str | None = Field(description="When a refresh no longer found it.")
    here: HereDocument


class CatalogueDocument(BaseModel):
    """What an answer rests on."""

    answered_by: Literal["catalogue", "hub"]
    as_of: str | None = Field(description="How old the catalogue is; ISO 8601, UTC; null where it was never filled.")
    models: int = Field(description="That the catalogue has.")
    note: str = Field(description="What to know of the answer, such as that the Hub cannot be asked; or empty.")


class HubModels(Page):
    """Models of the Hub."""

    items: list[HubModelDocument]
    catalogue: CatalogueDocument


class AccessDocument(BaseModel):
    """Whether the server's token may have the model's files."""

    state: Literal["public", "granted", "denied", "no-token", "unknown"]
    checked_at: str | None = Field(description="When the Hub said so; ISO 8601, UTC.")
    page: str = Field(description="Where access is asked for.")
    what_to_do: str = Field(description="For a person: the page to visit, and who approves; or empty.")


class ImportBody(BaseModel):
    """The body of `POST /models/import` that takes the model in."""

    uri: str = Field(examples=["hf:meta-llama/Llama-3.1-8B-Instruct"])


class HubEstimate(BaseModel):
    """What the model is estimated to need, as far as the Hub's list says enough."""

    parameters: int | None
    parameters_from: str | None
    weights_size: int | None = Field(description="Bytes.")
    memory_size: int | None = Field(description="Bytes of GPU memory, as in lists.")
    active_parameters: int | None = Field(description="Weights at work for one token, of a mixture.")
    context_length: int | None = Field(description="Tokens.")
    attention: str = Field(description="How it keeps what it has read; or empty.")
    needs: list[dict[str, Any]] = Field(
        description="For a number of `tokens`: `low` and `high` bytes, and `parts` with where each comes from."
    )
    cards: list[dict[str, Any]] = Field(description="Whether it fits a card of `card_gb`: `yes`, `no`, `perhaps`.")
    cache_unpacked: int | None = Field(description="Bytes, in engines that keep the heads of latent attention.")


class ModelChange(BaseModel):
    """A change that a refresh noticed."""

    field: Literal["gated", "licence", "owner", "downloads", "disabled", "listed"]
    before: str
    after: str
    at: str = Field(description="ISO 8601, UTC.")


class WholeHubModel(HubModelDocument):
    """A model of the Hub with all that is known of it."""

    model_config = ConfigDict(serialize_by_alias=True)

    access: AccessDocument
    import_: ImportBody = Field(alias="import")
    estimate: HubEstimate
    history: list[ModelChange] = Field(description="The oldest first.")
    catalogue: CatalogueDocument


class NamedChange(ModelChange):
    """A change of one model."""

    id: str


class HubChanges(Page):
    """Changes of models, in the order in which they were noticed."""

    items: list[NamedChange]


def for_caller(document: dict[str, Any], *, is_admin: bool) -> dict[str, Any]:
    """Return a model's document without what an error says of the operator's machines, except for an admin."""
    here = document["here"]
    if is_admin or here["state"] != "failed":
        return document
    return {**document, "here": {**here, "reason": "An admin's key sees why the last attempt failed."}}
