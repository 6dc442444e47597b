"""What one model of a service takes of a chat's parameters, learned from its refusals.

OpenAI's newer models take `max_completion_tokens` instead of `max_tokens` and no temperature but their own; others know
no `stream_options`. Asked once in the usual way, a service says so; from then on it is asked in its own. Not here: the
words of a refusal (refusals).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from weighbridge.errors import HandlerError

#: Parameters that can be said otherwise or left out, and under which name; empty to leave them out.
_OTHERWISE = {
    "max_tokens": "max_completion_tokens",
    "temperature": "",
    "top_p": "",
    "stop": "",
    "stream_options": "",
}
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|not support|unrecogni[sz]ed|unknown|unexpected|extra (?:inputs|fields)|not permitted"
    r"|not allowed|no longer|deprecated|cannot both|only the default",
    re.IGNORECASE,
)


class Dialect:
    """What is left out or renamed for one model; safe for several threads."""

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def refused(self) -> frozenset[str]:
        """Names of the parameters that the service does not take, so far as it was asked."""
        return self._refused

    def adapted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's body in the words that the service takes."""
        said = {_OTHERWISE[name] if name in self._refused else name: value for name, value in body.items()}
        said.pop("", None)
        return said

    def learn(self, error: HandlerError, sent: Mapping[str, Any]) -> bool:
        """Take note of a refusal of what was sent; return whether it is worth asking again, in other words."""
        if error.facts.get("http_status") not in (400, 422) or not _NOT_TAKEN.search(error.problem):
            return False
        name = self._named(error, sent)
        if name is None:
            return False
        with self._lock:
            self._refused |= {name}
        return True

    def _named(self, error: HandlerError, sent: Mapping[str, Any]) -> str | None:
        """Return the parameter that a refusal is about, if it was said and can be left out."""
        open_ = [name for name in _OTHERWISE if name in sent]
        if error.facts.get("param") in open_:
            return str(error.facts["param"])
        places = {name: found.start() for name in open_ if (found := re.search(rf"\b{name}\b", error.problem))}
        if places.keys() >= {"temperature", "top_p"} and sent["top_p"] == 1:
            return "top_p"  # It takes either; this one says nothing.
        return min(places, key=lambda name: places[name], default=None)
