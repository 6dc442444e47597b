"""The resource `/webhooks`: subscriptions to events, each with a secret that signs its messages.

A publisher has subscriptions of its own, to models that its key is for; an admin of every model sees all of them. Not
here: the messages (web.api.deliveries), and callbacks, which orders name (web.api.orders).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response

from weighbridge.catalog import Catalog, Subscription
from weighbridge.domain.access import Caller
from weighbridge.errors import NotInCatalog
from weighbridge.intake.webhook_receivers import WantedSubscription, callback_secret, subscribe
from weighbridge.web.answers import answer, answer_once
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, place_of
from weighbridge.web.api.webhook_documents import (
    CallbackSecret,
    MadeSubscription,
    NewSubscription,
    SubscriptionDocument,
    SubscriptionList,
    subscription_document,
)
from weighbridge.web.authentication import Publisher
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog, SharedResources
from weighbridge.web.routes import Router

router = Router(prefix="/webhooks", tags=["webhooks"])

WebhookId = Annotated[str, Path(alias="webhook", description="The subscription's id.", max_length=64)]


@router.post("", response_model=MadeSubscription, status_code=201, responses=documented(400, 409, 413, 415, 422, 503))
def add_subscription(
    request: Request, resources: SharedResources, caller: Publisher, wanted: NewSubscription
) -> Response:
    """Subscribe to events of models. The answer has the secret, which is shown this once."""
    asked = WantedSubscription(wanted.url, tuple(wanted.events), tuple(wanted.models))
    made, secret = subscribe(asked, caller, resources)
    response = answer_once({**subscription_document(made), "secret": secret}, 201)
    response.headers["location"] = f"{request.app.state.prefix}/webhooks/{made.id}"
    return response


@router.get("", response_model=SubscriptionList, responses=documented(400, 422, 503))
def list_subscriptions(
    request: Request, catalog: SharedCatalog, caller: Publisher, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List the caller's subscriptions; an admin's list has those of all callers."""
    owner = None if caller.may_everywhere("admin") else caller.actor
    found = catalog.subscriptions.listed(owner, caller.key_id, after=place_of(cursor, ""), limit=limit + 1)
    shown = found[:limit]
    following = cursor_of([shown[-1].id]) if len(found) > limit else None
    return answer(request, {"items": [subscription_document(one) for one in shown], "next": following})


@router.get("/callback-secret", response_model=CallbackSecret, responses=documented(503))
def get_callback_secret(resources: SharedResources, caller: Publisher) -> Response:
    """Return what signs the callbacks of the caller's own orders (`callback_url`)."""
    return answer_once({"secret": callback_secret(caller, resources)})


@router.get("/{webhook}", response_model=SubscriptionDocument, responses=documented(404, 422, 503))
def get_subscription(request: Request, catalog: SharedCatalog, caller: Publisher, id_: WebhookId) -> Response:
    """Return a subscription."""
    return answer(request, subscription_document(own_subscription(catalog, id_, caller)))


@router.post("/{webhook}/enable", response_model=SubscriptionDocument, responses=documented(404, 409, 422, 503))
def enable_subscription(request: Request, catalog: SharedCatalog, caller: Publisher, id_: WebhookId) -> Response:
    """Enable a subscription that was disabled; what happened meanwhile is not sent."""
    own_subscription(catalog, id_, caller)
    return answer(request, subscription_document(catalog.acting(caller.actor).subscriptions.enable(id_)))


@router.delete("/{webhook}", response_model=SubscriptionDocument, responses=documented(404, 422, 503))
def remove_subscription(request: Request, catalog: SharedCatalog, caller: Publisher, id_: WebhookId) -> Response:
    """End a subscription, and return it as it was: nothing more is sent, and its messages are removed."""
    found = own_subscription(catalog, id_, caller)
    catalog.acting(caller.actor).subscriptions.remove(id_)
    return answer(request, subscription_document(found))


def own_subscription(catalog: Catalog, id_: str, caller: Caller) -> Subscription:
    """Return a subscription of a caller, or of anybody for an admin; to others there is none. Raises NotInCatalog."""
    found = catalog.subscriptions.get(id_)
    is_own = (found.owner, found.destination.key_id) == (caller.actor, caller.key_id)
    if not is_own and not caller.may_everywhere("admin"):
        raise NotInCatalog(f"There is no subscription {id_}.", "GET /webhooks lists yours.", id=id_)
    return found
