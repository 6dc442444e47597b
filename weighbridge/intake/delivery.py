"""Delivery: threads that take messages from the catalog, sign them, post them, and write down what happened.

A message is delivered once or more, never less: a process that is killed after the receiver has it sends it again, with
the same `webhook-id`. Not here: what becomes a message (catalog.outbox, catalog.job_queue), one request
(net.webhook_post), and how long messages are kept (intake.retention).
"""

from __future__ import annotations

import hmac
import json
import logging
import random
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from weighbridge import __version__
from weighbridge.catalog import Attempt, Delivery
from weighbridge.intake.queue_worker import QueueWorker
from weighbridge.intake.resources import Resources
from weighbridge.intake.unexpected import foreseen
from weighbridge.net.webhook_post import Receipt, post

#: The longest wait that a receiver can ask for, and the part of it by which each wait may be longer than
#: planned: messages that failed together do not all come back together.
_LONGEST_WAIT_S, _SPREAD = 24 * 3600.0, 0.1
_log = logging.getLogger(__name__)


class DeliveryWorker(QueueWorker):
    """Delivers messages while its context lasts.

    Args:
        resources: those of the process.
        threads: messages at once; with none, other processes deliver them.
        content: returns what is sent of a message; the same at each attempt.
    """

    def __init__(self, resources: Resources, threads: int, content: Callable[[Delivery], Mapping[str, Any]]) -> None:
        super().__init__("delivery", threads)
        self._content = content
        self._resources, self._settings = resources, resources.settings
        self._lease_s = self._settings.job_lease_s + 2 * self._settings.webhook_timeout_s

    def work_once(self, owner: str) -> bool:
        """Take a message and attempt to deliver it; return whether there was one."""
        try:
            delivery = self._resources.catalog.deliveries.take(owner, self._lease_s)
            if delivery is not None:
                self._attempt(delivery, owner)
            return delivery is not None
        except Exception as error:  # noqa: BLE001 (a lease runs out, and the thread goes on)
            _log.error("Messages to receivers: %s", foreseen(error, "messages", self._settings.folder))
            return False

    def _attempt(self, delivery: Delivery, owner: str) -> None:
        at, began = self._resources.clock(), time.monotonic()
        try:
            receipt = self._sent(delivery, at)
        except Exception as error:  # noqa: BLE001 (a bug that one message meets is that attempt's failure)
            receipt = Receipt(None, foreseen(error, f"message {delivery.id}", self._settings.folder).problem)
        duration_ms = round((time.monotonic() - began) * 1000)
        attempt = Attempt(at.isoformat(), receipt.status, receipt.problem, duration_ms)
        wait_s = wait_after(receipt, delivery.attempts, self._settings.webhook_retries_s)
        self._resources.catalog.deliveries.note(delivery, owner, attempt, wait_s, unwanted=receipt.is_final)

    def _sent(self, delivery: Delivery, at: datetime) -> Receipt:
        secret = self._resources.signing_key.secret_of(delivery.destination.signer)
        body = json.dumps(self._content(delivery), separators=(",", ":"))
        headers = {
            "content-type": "application/json",
            "user-agent": f"weighbridge/{__version__}",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signatures(secret, delivery.id, at, body),
        }
        policy, timeout_s = self._settings.webhook_addresses, self._settings.webhook_timeout_s
        return post(delivery.destination.url, body.encode(), headers, policy, timeout_s)


def signatures(secret: str, id_: str, at: datetime, body: str) -> str:
    """Return a message's two signatures: the one of Standard Webhooks, and the same with the secret's text as the key.

    The second is for tools whose HMAC takes a text for a key, such as the Crypto node of n8n: the bytes that
    Standard Webhooks has as the key are no text. Its verifiers skip versions that they do not know.
    """
    standard = Webhook(secret).sign(id_, at, body)
    signed = f"{id_}.{int(at.timestamp())}.{body}".encode()
    return f"{standard} v1text,{b64encode(hmac.digest(secret.encode(), signed, 'sha256')).decode()}"


def wait_after(receipt: Receipt, attempts: int, retries_s: Sequence[float]) -> float | None:
    """Return the seconds before the next attempt; None where there is none.

    Args:
        receipt: of the last attempt.
        attempts: how many there have been.
        retries_s: the waits before each further attempt.
    """
    if not receipt.problem or receipt.is_final or attempts > len(retries_s):
        return None
    planned_s = retries_s[attempts - 1] * random.uniform(1, 1 + _SPREAD)  # noqa: S311 (no secret)
    return max(planned_s, min(receipt.wait_s or 0.0, _LONGEST_WAIT_S))
