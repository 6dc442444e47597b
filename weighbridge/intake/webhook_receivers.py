"""Receivers of messages: callbacks of orders and subscriptions, checked before they are stored, each with a secret.

Not here: sending (intake.delivery), and which changes are events (domain.webhooks).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from weighbridge.catalog import Subscription
from weighbridge.catalog.subscriptions import new_id
from weighbridge.domain.access import Caller, checked_models
from weighbridge.domain.webhooks import Destination, checked_events, checked_url
from weighbridge.errors import AddressRefused, SourceUnavailable, UsageError
from weighbridge.intake.resources import Resources
from weighbridge.net.responses import shown

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WantedSubscription:
    """What a caller asks to be told of.

    Attributes:
        url: of the receiver.
        events: kinds of events.
        models: patterns of models' names; empty for every model that the caller may see.
    """

    url: str
    events: tuple[str, ...]
    models: tuple[str, ...] = ()


def callback_of(url: str, actor: str, resources: Resources) -> Destination | None:
    """Return where the end of an actor's order is sent; None for an empty URL. Raises UsageError."""
    return _destination(url, _callbacks_of(actor), resources) if url else None


def callback_secret(actor: str, resources: Resources) -> str:
    """Return the secret that signs the callbacks of an actor's orders, the same one each time."""
    key = resources.signing_key
    return key.secret_of(key.signer(_callbacks_of(actor)))


def subscribe(wanted: WantedSubscription, caller: Caller, resources: Resources) -> tuple[Subscription, str]:
    """Store a caller's subscription and return it with its secret, which is stored nowhere.

    Raises:
        UsageError: an event, a pattern or the URL is not valid, or messages may not go there.
        StateConflict: the caller has too many.
    """
    id_ = new_id()
    destination = _destination(wanted.url, f"subscription {id_}", resources)
    stored = resources.catalog.acting(caller.actor).subscriptions.add(
        Subscription(
            destination=destination,
            events=checked_events(wanted.events),
            models=checked_models(wanted.models),
            owner=caller.actor,
            owner_models=caller.models,
            id=id_,
        )
    )
    return stored, resources.signing_key.secret_of(destination.signer)


def _callbacks_of(actor: str) -> str:
    return f"callbacks of {actor}"


def _destination(url: str, name: str, resources: Resources) -> Destination:
    """Return a destination whose addresses messages may go to, as far as that is known now; sending checks again."""
    shown(checked_url(url))  # What the HTTP client cannot read is refused, too.
    try:
        resources.settings.webhook_addresses.check(url)
    except AddressRefused as error:
        raise UsageError(error.problem, error.remedy) from error
    except SourceUnavailable:
        _log.info("A receiver's host has no address now.")  # It may get one: each attempt checks again.
    return Destination(url, resources.signing_key.signer(name))
