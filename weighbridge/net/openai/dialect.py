"""The parameters of a request that one model of a service accepts, learned from its refusals.

OpenAI's newer models take `max_completion_tokens` instead of `max_tokens` and only their default temperature; others
have no `stream_options`. A service refuses the first request in the usual form; later requests have the accepted form.
Not here: the words of a refusal (refusals).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from weighbridge.errors import HandlerError

#: Parameters that can be renamed, with the other name, or left out, with an empty one.
_OTHERWISE = {
    "max_tokens": "max_completion_tokens",
    "temperature": "",
    "top_p": "",
    "stop": "",
    "stream_options": "",
    "encoding_format": "",
}
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|not support|unrecogni[sz]ed|unknown|unexpected|extra (?:inputs|fields)|not permitted"
    r"|not allowed|no longer|deprecated|cannot both|only the default",
    re.IGNORECASE,
)


class Dialect:
    """The parameters to leave out or rename for one model; safe for several threads."""

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def refused(self) -> frozenset[str]:
        """Return the names of the parameters that the service has refused."""
        return self._refused

    def adapted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's body in the form that the service accepts."""
        said = {_OTHERWISE[name] if name in self._refused else name: value for name, value in body.items()}
        said.pop("", None)
        return said

    def learn(self, error: HandlerError, sent: Mapping[str, Any]) -> bool:
        """Record a refusal of a request; return whether to repeat the request in another form."""
        if error.facts.get("http_status") not in (400, 422) or not _NOT_TAKEN.search(error.problem):
            return False
        name = self._named(error, sent)
        if name is None:
            return False
        with self._lock:
            self._refused |= {name}
        return True

    def _named(self, error: HandlerError, sent: Mapping[str, Any]) -> str | None:
        """Return the parameter that a refusal names, if the request has it and can omit it."""
        open_ = [name for name in _OTHERWISE if name in sent]
        if error.facts.get("param") in open_:
            return str(error.facts["param"])
        places = {name: found.start() for name in open_ if (found := re.search(rf"\b{name}\b", error.problem))}
        if places.keys() >= {"temperature", "top_p"} and sent["top_p"] == 1:
            return "top_p"  # The service takes only one of the two; top_p is 1 by default.
        return min(places, key=lambda name: places[name], default=None)
