"""The requests that a Hub still grants, as its headers say, and the pace that keeps within them.

`RateLimit: "api";r=499;t=300` says how many are left and for how many seconds; `RateLimit-Policy` has the quota of a
window (IETF draft-ietf-httpapi-ratelimit-headers-09). Not here: what a refusal asks for (net.refusals).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LEFT, _RESET, _QUOTA = (re.compile(rf";\s*{name}=(\d{{1,9}})(?![\d.])") for name in "rtq")
#: The share of a quota that may be used as fast as it goes; the rest is spread over the window.
_FREE_SHARE = 0.5
#: One request of so many is left to others with the same token.
_LEFT_TO_OTHERS = 50


@dataclass(frozen=True)
class RequestBudget:
    """What a Hub grants until its window ends.

    Attributes:
        left: requests.
        resets_s: seconds until the quota is whole again.
        quota: requests of a window; None where it was not said.
    """

    left: int
    resets_s: int
    quota: int | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> RequestBudget | None:
        """Return what the headers of an answer say, whose names are in lowercase; None for nothing.

        Of several limits, the one with the fewest requests counts.
        """
        limits = []
        for part in headers.get("ratelimit", "").split(","):
            left, reset = _LEFT.search(part), _RESET.search(part)
            if left and reset:
                limits.append((int(left[1]), int(reset[1]), part.partition(";")[0].strip()))
        if not limits:
            return None
        left_, resets_s, name = min(limits)
        policies = headers.get("ratelimit-policy", "").split(",")
        quota = next((found for one in policies if name in one and (found := _QUOTA.search(one))), None)
        return cls(left_, resets_s, int(quota[1]) if quota else None)

    @property
    def interval_s(self) -> float:
        """The seconds from one request to the next that keep within what is left."""
        quota = self.quota or 0
        spare = self.left - quota // _LEFT_TO_OTHERS
        if spare <= 0:
            return self.resets_s + 1.0
        if quota and self.left > quota * _FREE_SHARE:
            return 0.0
        return self.resets_s / spare
