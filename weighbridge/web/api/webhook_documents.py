"""What requests and answers about webhooks hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from weighbridge.catalog import Delivery, Subscription
from weighbridge.config.settings import Settings
from weighbridge.domain.access import checked_models
from weighbridge.domain.hub_news import HUB_EVENTS
from weighbridge.domain.webhooks import EVENTS, MAX_URL_LENGTH, EventType
from weighbridge.errors import UsageError
from weighbridge.intake.webhook_receivers import readable_url
from weighbridge.web.api.documents import Page
from weighbridge.web.api.names import path_of

_PATTERNS = "Patterns of models' names, such as team-a/*; empty for every model that the key is for."
_MAX_PATTERNS = 20


def receiver_url(url: str) -> str:
    """Return the URL of a receiver unchanged when it can be read. Raises ValueError, for a field that holds one."""
    try:
        return readable_url(url)
    except UsageError as error:
        raise ValueError(str(error).rstrip(".")) from error


def _patterns(models: list[str]) -> list[str]:
    try:
        return list(checked_models(models))
    except UsageError as error:
        raise ValueError(str(error).rstrip(".")) from error


class NewSubscription(BaseModel):
    """Events that the caller wants to be told of."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://hooks.example.com/models", "events": ["version.passed"], "models": []}]
        },
    )

    url: Annotated[str, AfterValidator(receiver_url)] = Field(
        max_length=MAX_URL_LENGTH, repr=False, description="Where messages are posted."
    )
    events: list[EventType] = Field(min_length=1, max_length=len(EVENTS))
    models: Annotated[list[Annotated[str, Field(max_length=255)]], AfterValidator(_patterns)] = Field(
        [], max_length=_MAX_PATTERNS, description=_PATTERNS
    )


class SubscriptionDocument(BaseModel):
    """A subscription, without its secret."""

    id: str
    to: str = Field(description="The receiver: scheme, host and port; its path may be a secret.")
    events: list[EventType]
    models: list[str] = Field(description=_PATTERNS)
    owner: str = Field(examples=["key:ci"])
    created_at: str = Field(description="ISO 8601, UTC.")
    failing_since: str | None = Field(description="The first failed attempt after the last delivery; ISO 8601, UTC.")
    disabled_at: str | None = Field(description="Since when nothing is sent; null while it is enabled.")
    disabled_because: str = Field(description="Why it is disabled; or empty.")


class MadeSubscription(SubscriptionDocument):
    """A new subscription, with its secret."""

    secret: str = Field(description="Signs the messages, as Standard Webhooks has it; shown this once.")


class SubscriptionList(Page):
    """Subscriptions."""

    items: list[SubscriptionDocument]


class CallbackSecret(BaseModel):
    """What signs the callbacks of the caller's orders."""

    secret: str = Field(description="As Standard Webhooks has it; another one for each key.")


class AttemptDocument(BaseModel):
    """One attempt to deliver a message."""

    at: str = Field(description="ISO 8601, UTC.")
    status: int | None = Field(description="The HTTP status of the receiver's answer; null without one.")
    problem: str = Field(description="Why it failed; empty for a delivered message.")
    duration_ms: int


class DeliveryDocument(BaseModel):
    """A message to a receiver, and what became of it."""

    id: str = Field(description="The header `webhook-id`, the same at each attempt.")
    type: str = Field(examples=["version.passed"])
    state: Literal["waiting", "delivered", "failed", "expired"]
    to: str = Field(description="The receiver: scheme, host and port.")
    attempts: int = Field(description="Begun since it was made, or repeated.")
    next_attempt_at: str | None = Field(description="ISO 8601, UTC; null where there is none.")
    tried: list[AttemptDocument] = Field(description="The last attempts, the oldest first.")
    problem: str = Field(description="Why it ended without a delivery; or empty.")
    message: dict[str, Any] = Field(description="What is posted.")
    created_at: str = Field(description="ISO 8601, UTC.")
    ended_at: str | None = Field(description="ISO 8601, UTC.")


class DeliveryList(Page):
    """Messages, the newest first."""

    items: list[DeliveryDocument]


def subscription_document(one: Subscription) -> dict[str, Any]:
    """Return a `SubscriptionDocument`."""
    return {
        "id": one.id,
        "to": one.destination.origin,
        "events": list(one.events),
        "models": list(one.models),
        "owner": one.owner,
        "created_at": one.created_at.isoformat() if one.created_at else "",
        "failing_since": one.failing_since.isoformat() if one.failing_since else None,
        "disabled_at": one.disabled_at.isoformat() if one.disabled_at else None,
        "disabled_because": one.disabled_because,
    }


def message_of(one: Delivery, settings: Settings) -> dict[str, Any]:
    """Return what is posted: the message, with links to what it is about."""
    data = one.message["data"]
    api = settings.serve_url.rstrip("/") + settings.api_prefix
    if one.message["type"] in HUB_EVENTS:
        return {**one.message, "data": {**data, "links": _hub_links(data, api)}}
    links = {"model": f"{api}/models/{path_of(data['model'])}"}
    if data.get("version"):
        links["version"] = f"{links['model']}/versions/{quote(data['version'], safe='')}"
    if data.get("job"):
        links["job"] = f"{api}/ingests/{data['job']}"
    return {**one.message, "data": {**data, "links": links}}


def _hub_links(data: Mapping[str, Any], api: str) -> dict[str, Any]:
    """Return links of news of the Hub: to the model in its catalogue, and to the models here that came from it."""
    if "hub_model" not in data:
        return {"changes": f"{api}/hub/changes"}
    models = [f"{api}/models/{path_of(name)}" for name in data["models"]]
    return {"hub_model": f"{api}/hub/models/{quote(data['hub_model'])}", "models": models}


def delivery_document(one: Delivery, settings: Settings) -> dict[str, Any]:
    """Return a `DeliveryDocument`."""
    return {
        "id": one.id,
        "type": one.message["type"],
        "state": one.state,
        "to": one.destination.origin,
        "attempts": one.attempts,
        "next_attempt_at": one.due_at.isoformat() if one.state == "waiting" else None,
        "tried": [attempt.to_json() for attempt in one.tried],
        "problem": one.problem,
        "message": message_of(one, settings),
        "created_at": one.created_at.isoformat(),
        "ended_at": one.ended_at.isoformat() if one.ended_at else None,
    }
