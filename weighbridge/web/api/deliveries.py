"""Messages of subscriptions and of jobs: what was sent when, what the receiver answered, and sending it again."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request, Response

from weighbridge.catalog import Delivery
from weighbridge.domain.access import Caller
from weighbridge.errors import NotInCatalog
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import answer
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, moment_of
from weighbridge.web.api.ingests import JobId, own_job
from weighbridge.web.api.webhook_documents import DeliveryDocument, DeliveryList, delivery_document
from weighbridge.web.api.webhooks import WebhookId, own_subscription
from weighbridge.web.authentication import Publisher
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedResources
from weighbridge.web.routes import Router

router = Router(tags=["webhooks"])

MessageId = Annotated[str, Path(alias="delivery", description="The message's id, its `webhook-id`.", max_length=64)]
_LIST = documented(400, 404, 422, 503)
_REPEAT = documented(404, 409, 422, 503)


@router.get("/webhooks/{webhook}/deliveries", response_model=DeliveryList, responses=_LIST)
def list_deliveries(
    request: Request,
    resources: SharedResources,
    caller: Publisher,
    id_: WebhookId,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response:
    """List the messages of a subscription, the newest first: those that wait, and those that ended in 30 days."""
    own_subscription(resources.catalog, id_, caller)
    found = resources.catalog.deliveries.listed(subscription_id=id_, before=moment_of(cursor), limit=limit + 1)
    return _part(request, resources, found, limit)


@router.post(
    "/webhooks/{webhook}/deliveries/{delivery}/repeat",
    response_model=DeliveryDocument,
    status_code=202,
    responses=_REPEAT,
)
def repeat_delivery(
    request: Request, resources: SharedResources, caller: Publisher, id_: WebhookId, message: MessageId
) -> Response:
    """Send a message of a subscription again, with the same id, whatever became of it."""
    own_subscription(resources.catalog, id_, caller)
    return _repeated(request, resources, caller, message, ("subscription_id", id_))


@router.get("/ingests/{job}/deliveries", response_model=DeliveryList, responses=_LIST)
def list_callbacks(
    request: Request, resources: SharedResources, caller: Publisher, id_: JobId, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List the messages to a job's `callback_url`: none before its end, then one."""
    _refuse_others(resources, id_, caller)
    found = resources.catalog.deliveries.listed(job_id=id_, before=moment_of(cursor), limit=limit + 1)
    return _part(request, resources, found, limit)


@router.post(
    "/ingests/{job}/deliveries/{delivery}/repeat", response_model=DeliveryDocument, status_code=202, responses=_REPEAT
)
def repeat_callback(
    request: Request, resources: SharedResources, caller: Publisher, id_: JobId, message: MessageId
) -> Response:
    """Send the message about the end of a job again, with the same id, whatever became of it."""
    _refuse_others(resources, id_, caller)
    return _repeated(request, resources, caller, message, ("job_id", id_))


def _refuse_others(resources: Resources, id_: str, caller: Caller) -> None:
    """Let only the one who asked for a job, and admins of its model, see its messages. Raises NotInCatalog."""
    order = resources.catalog.jobs.get(id_).order
    key_id = order.callback.key_id if order.callback else caller.key_id
    is_own = (order.asker, key_id) == (caller.actor, caller.key_id)
    own_job(resources.catalog, id_, caller, "publisher" if is_own else "admin")


def _part(request: Request, resources: Resources, found: list[Delivery], limit: int) -> Response:
    shown = found[:limit]
    following = cursor_of([shown[-1].created_at.isoformat(), shown[-1].id]) if len(found) > limit else None
    items = [delivery_document(one, resources.settings) for one in shown]
    return answer(request, {"items": items, "next": following})


def _repeated(request: Request, resources: Resources, caller: Caller, id_: str, of: tuple[str, str]) -> Response:
    """Repeat a message of a subscription or a job. Raises NotInCatalog for a message of another one."""
    column, owner = of
    if getattr(resources.catalog.deliveries.get(id_), column) != owner:
        raise NotInCatalog(f"There is no message {id_} here.", "The list of deliveries has their ids.", id=id_)
    repeated = resources.catalog.acting(caller.actor).deliveries.repeat(id_)
    request.app.state.sender.wake()
    return answer(request, delivery_document(repeated, resources.settings), 202)
