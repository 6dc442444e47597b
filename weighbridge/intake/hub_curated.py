"""The curated models of the Hub: those that models.yaml, and models.local.yaml beside it, name.

Not here: what else an entry says (config.models_file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.repositories import repository_of
from weighbridge.errors import WeighbridgeError


@dataclass(frozen=True)
class Curated:
    """Models of the Hub that an organisation has chosen.

    Attributes:
        places: by the case-folded id, where the token for the model is kept.
        ids: as the file writes them, in its order.
    """

    places: Mapping[str, AuthPlace] = field(default_factory=dict)
    ids: tuple[str, ...] = ()

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and id_.casefold() in self.places

    def place(self, id_: str) -> AuthPlace:
        """Return where the token for a model is kept; all empty where the file does not say."""
        return self.places.get(id_.casefold(), AuthPlace())


def curated_in(path: Path) -> Curated:
    """Return the curated models of a models file; none where there is no such file, or where it cannot be read.

    A mistake in the file is what `sync` and `lock` report; it keeps nobody from looking for a model.
    """
    try:
        return _read(path.resolve(), _stamps(path))
    except (OSError, WeighbridgeError):
        return Curated()


def _stamps(path: Path) -> tuple[tuple[int, int], ...]:
    """Return time and size of a models file and of the local ones beside it: while they stay, nothing is read anew."""
    known = (found.stat() for found in sorted(path.parent.glob("models*.y*ml")))
    return tuple((one.st_mtime_ns, one.st_size) for one in known)


@lru_cache(maxsize=4)
def _read(path: Path, _stamped: tuple[tuple[int, int], ...]) -> Curated:
    from weighbridge.config.models_file import read_models  # It takes longer to import than a search takes.

    if not path.exists():
        return Curated()
    requests = (entry.request() for entry in read_models(path))
    found = {request.ref.id: request.auth for request in requests if repository_of(request.ref)}
    return Curated({id_.casefold(): place for id_, place in found.items()}, tuple(found))
