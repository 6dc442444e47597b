"""Situations that a client meets at a mirror, and whether what it does there is right.

Not here: those of the mode `read-through` (unweighed), the clients (table), and the served mirrors (stage).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tests.clients.stage import NOWHERE, put
from tests.clients.trial import Outcome, Trial
from tests.clients.unweighed import bad_verdict, handed_on, wrong_digest

#: Calls of a client until a model has to be weighed and loaded in the mode `gated`.
_MOST_CALLS = 12
#: Seconds that a user waits before the next one.
_BETWEEN_CALLS_S = 3
_REASON = "The file is infected: Eicar-Test-Signature."


def cold(trial: Trial) -> Outcome:
    """Load a model with an empty cache."""
    trial.first = put(trial.stage.open, trial.client, trial.name, trial.files(1), 1)
    return trial.loads(trial.run(), 1)


def warm(trial: Trial) -> Outcome:
    """Load it again: no byte of a file is sent."""
    if not trial.client.caches:
        return Outcome(None)
    before = trial.stage.sent(trial.stage.open, trial.name)
    outcome = trial.loads(trial.run(), 1)
    sent = trial.stage.sent(trial.stage.open, trial.name) - before
    return Outcome(False, f"{sent} bytes were sent") if outcome.right and sent else outcome


def down(trial: Trial) -> Outcome:
    """Load it while the mirror is away: from the cache."""
    if not trial.client.caches or not trial.client.falls_back:
        return Outcome(None)
    return trial.loads(trial.run(HF_ENDPOINT=NOWHERE), 1)


def changed(trial: Trial) -> Outcome:
    """Load it when there is a newer default version: that one comes."""
    if not trial.client.asks:
        return Outcome(None)
    put(trial.stage.open, trial.client, trial.name, trial.files(2), 2)
    return trial.loads(trial.run(), 2)


def pinned(trial: Trial) -> Outcome:
    """Load the older version by its commit, with an empty cache."""
    if not trial.client.pins:
        return Outcome(None)
    return trial.loads(trial.run(home=trial.stage.home(), revision=trial.first), 1)


def quarantined(trial: Trial) -> Outcome:
    """Ask for a model that the gate refused: the user reads why."""
    name = f"{trial.name}-refused"
    put(trial.stage.open, trial.client, name, trial.files(1), 1, _REASON)
    return trial.refuses(trial.run(name, trial.stage.home()), "Eicar-Test-Signature")


def withdrawn(trial: Trial) -> Outcome:
    """Ask for a model that was withdrawn after it was loaded: the cache does not give it out any more."""
    if not trial.client.asks or not trial.client.recalls:
        return Outcome(None)
    name, home = f"{trial.name}-withdrawn", trial.stage.home()
    put(trial.stage.open, trial.client, name, trial.files(1), 1)
    before = trial.run(name, home)
    trial.stage.open.served.catalog.withdraw(name, "1.0.0", "It has a back door.")
    outcome = trial.refuses(trial.run(name, home), "It has a back door")
    return outcome if before.loaded else Outcome(False, before.words[-300:])


def without_key(trial: Trial) -> Outcome:
    """Ask a closed registry without a key, and with one."""
    if not trial.client.has_keys:
        return Outcome(None)
    closed, home = trial.stage.closed, trial.stage.home()
    put(closed, trial.client, trial.name, trial.files(1), 1)
    outcome = trial.refuses(trial.run(home=home, HF_ENDPOINT=closed.url), "key")
    if not outcome.right:
        return outcome
    token = closed.served.key("reader")["Authorization"].removeprefix("Bearer ")
    return trial.loads(trial.run(home=home, HF_ENDPOINT=closed.url, HF_TOKEN=token), 1)


def gated(trial: Trial) -> Outcome:
    """Ask for a model of the Hub that is not here: it is taken in, and loaded."""
    if not trial.client.has_keys:
        return Outcome(None)
    gated, home = trial.stage.gated, trial.stage.home()
    trial.stage.hub.add(trial.name, trial.files(1), kind=trial.client.kind)
    token = gated.served.key("reader")["Authorization"].removeprefix("Bearer ")
    for call in range(1, _MOST_CALLS):
        run = trial.run(home=home, HF_ENDPOINT=gated.url, HF_TOKEN=token)
        if run.loaded:
            return Outcome(run.loaded == trial.value(1), "" if call == 1 else f"with call {call}")
        if trial.client.shows and not run.says("being weighed"):
            return Outcome(False, run.words[-300:])
        time.sleep(_BETWEEN_CALLS_S)
    return Outcome(False, "it never loads")


SITUATIONS: Mapping[str, Callable[[Trial], Outcome]] = {
    "cold": cold,
    "warm": warm,
    "server down": down,
    "new version": changed,
    "pinned": pinned,
    "quarantined": quarantined,
    "withdrawn": withdrawn,
    "key": without_key,
    "gated": gated,
    "read-through": handed_on,
    "wrong digest": wrong_digest,
    "bad verdict": bad_verdict,
}
