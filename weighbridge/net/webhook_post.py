"""Posting a message to a receiver that other people name: to the address that was checked, and nowhere else.

Nothing of the answer is read but its status and `Retry-After`: a redirect is not followed, and no body, however long,
comes back to the person who named the receiver. Not here: the signature, and when to try again (intake.delivery).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from weighbridge.errors import WeighbridgeError
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.deadlines import obey, within
from weighbridge.net.pinned_transport import PinnedTransport
from weighbridge.net.refusals import wait_asked_s
from weighbridge.net.responses import foreign_errors, shown

#: The most seconds that connecting to one address of a receiver takes.
_CONNECT_S = 5.0


@dataclass(frozen=True)
class Receipt:
    """What came of a posted message.

    Attributes:
        status: the HTTP status of the answer; None without an answer.
        problem: why the message does not count as delivered, a sentence; empty where it was.
        wait_s: how long the receiver asks to wait before the next attempt; None where it does not say.
        is_final: whether the receiver wants no further attempt.
    """

    status: int | None
    problem: str = ""
    wait_s: float | None = None
    is_final: bool = False


def post(url: str, body: bytes, headers: Mapping[str, str], policy: AddressPolicy, timeout_s: float) -> Receipt:
    """Post a message once and return what came of it; a status from 200 to 299 is a delivery.

    Args:
        url: of the receiver.
        body: the message, as it was signed.
        headers: with the signature.
        policy: where messages may go; checked with the very address that is connected to.
        timeout_s: seconds within which its name has to be resolved and the receiver has to answer.
    """
    try:
        with foreign_errors(shown(url)), within(timeout_s):
            return _posted(url, body, headers, policy, timeout_s)
    except WeighbridgeError as error:
        return Receipt(None, error.problem)


def _posted(url: str, body: bytes, headers: Mapping[str, str], policy: AddressPolicy, timeout_s: float) -> Receipt:
    policy.check(url)
    limits = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    client = httpx.Client(
        transport=PinnedTransport(policy),
        timeout=limits,
        follow_redirects=False,
        trust_env=False,
        event_hooks={"request": [obey]},
    )
    try:
        with client, client.stream("POST", url, content=body, headers=dict(headers)) as response:
            return _receipt(response)
    except httpx.RemoteProtocolError:  # Its text quotes what the receiver sent.
        return Receipt(None, "The receiver ends the connection without an answer, or its answer is not HTTP.")


def _receipt(response: httpx.Response) -> Receipt:
    status = response.status_code
    if response.is_success:
        return Receipt(status)
    if status == httpx.codes.GONE:
        return Receipt(status, "The receiver wants no more messages (HTTP 410).", is_final=True)
    if response.has_redirect_location:
        return Receipt(status, f"The receiver redirects to another address (HTTP {status}), which is not followed.")
    return Receipt(status, f"The receiver answers with HTTP {status}.", wait_asked_s(response.headers))
