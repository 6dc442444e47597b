"""Receivers of messages: callbacks of orders and subscriptions, checked before they are stored, each with a secret.

Not here: sending (intake.delivery), and which changes are events (domain.webhooks).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from weighbridge.catalog import Subscription
from weighbridge.catalog.subscriptions import new_id
from weighbridge.domain.access import Caller, checked_models
from weighbridge.domain.webhooks import Destination, SigningKey, checked_events, checked_url
from weighbridge.errors import AddressRefused, InvalidConfiguration, NotConfigured, SourceUnavailable, UsageError
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


def readable_url(url: str) -> str:
    """Return the URL of a receiver unchanged when it can be read, whatever it leads to. Raises UsageError."""
    shown(checked_url(url))  # What the HTTP client cannot read is refused, too.
    return url


def callback_of(url: str, caller: Caller, resources: Resources) -> Destination | None:
    """Return where the end of a caller's order is sent; None for an empty URL. Raises UsageError."""
    return _destination(url, _callbacks_of(caller, resources), caller, resources) if url else None


def callback_secret(caller: Caller, resources: Resources) -> str:
    """Return the secret that signs the callbacks of a caller's orders, the same one each time."""
    key = _signing_key(resources)
    return key.secret_of(key.signer(_callbacks_of(caller, resources)))


def subscribe(wanted: WantedSubscription, caller: Caller, resources: Resources) -> tuple[Subscription, str]:
    """Store a caller's subscription and return it with its secret, which is stored nowhere.

    Raises:
        UsageError: an event, a pattern or the URL is not valid, or messages may not go there.
        StateConflict: the caller has too many.
    """
    id_ = new_id()
    destination = _destination(wanted.url, f"subscription {id_}", caller, resources)
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
    return stored, _signing_key(resources).secret_of(destination.signer)


def _callbacks_of(caller: Caller, resources: Resources) -> str:
    """Return the name of a caller's secret: the name of a revoked key may be given to another person's."""
    if caller.key_id is None:
        return f"callbacks of {caller.actor}"
    made_at = resources.catalog.keys.get(caller.key_id).created_at
    return f"callbacks of {caller.actor} made {made_at.isoformat()}"


def _destination(url: str, name: str, caller: Caller, resources: Resources) -> Destination:
    """Return a destination whose addresses messages may go to, as far as that is known now; sending checks again."""
    readable_url(url)
    try:
        resources.settings.webhook_addresses.check(url)
    except AddressRefused as error:
        raise UsageError(error.problem, error.remedy) from error
    except SourceUnavailable:
        _log.info("A receiver's host has no address now.")  # It may get one: each attempt checks again.
    return Destination(url, _signing_key(resources).signer(name), caller.key_id)


def _signing_key(resources: Resources) -> SigningKey:
    """Return the operator's secret. Raises NotConfigured, as whoever asks is not to blame for it."""
    try:
        return resources.signing_key
    except InvalidConfiguration as error:
        raise NotConfigured(error.problem, error.remedy) from error
