"""Models and whole versions kept in memory until they change: a client asks several times for each file of a version.

Every change of the catalog is a row of its audit log, so the rows since the last look say what to read anew. Not here:
what they are for clients of the Hugging Face Hub (intake.mirrored_models).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TypeVar

from weighbridge.catalog import Catalog, ModelQuery
from weighbridge.domain.audit import SERVED, Head
from weighbridge.domain.version import ModelVersion
from weighbridge.intake.mirrored_models import REVISION_MARK, MirroredModel, hub_name, mirrored

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", MirroredModel, ModelVersion)
#: Rows of the audit log that are looked at; where there are more, everything is read anew.
_MOST_ROWS = 1000
#: Files, reports and lines of versions that are kept; one takes about 1 kB.
_MOST_KEPT = 50_000
#: The newest change of the catalog, where a request has read it already.
_newest: ContextVar[Head | None] = ContextVar("newest", default=None)


class KeptModels:
    """What was read of a catalog lately, as it is now. Safe for threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._lock = catalog, Lock()
        self._seen: int | None = None
        self._names: dict[str, str] = {}
        self._models: OrderedDict[str, MirroredModel] = OrderedDict()
        self._versions: OrderedDict[tuple[str, str], ModelVersion] = OrderedDict()

    @property
    def change(self) -> int | None:
        """The number of the newest change of the catalog at the last look; None before the first one."""
        return self._seen

    @contextmanager
    def as_of(self, newest: Head) -> Iterator[None]:
        """Take a change that was the newest one a moment ago for that, in this context, and do not look again."""
        mark = _newest.set(newest)
        try:
            yield
        finally:
            _newest.reset(mark)

    def model(self, name: str) -> MirroredModel | None:
        """Return a model, or None."""

        def read() -> MirroredModel | None:
            versions = self._catalog.lists.versions(name)
            return mirrored(versions) if versions else None

        return self._of(self._models, name, read)

    def name_of(self, asked: str) -> str:
        """Return the name of the model that clients of the Hub call by a name: that one, or one with further signs.

        Where several models would be called so, it is none of them.
        """
        if "-" not in asked or self.model(asked) is not None:
            return asked
        seen = self._look()
        found = self._names.get(asked)
        if found is None:
            pattern = "".join("?" if sign == "-" else "[[]" if sign == "[" else sign for sign in asked)
            models = self._catalog.lists.models(ModelQuery(names=(pattern,)))
            names = [one.name for one in models if hub_name(one.name) == asked]
            found = names[0] if len(names) == 1 else asked
            with self._lock:
                if self._seen == seen and len(names) == 1 and len(self._names) < _MOST_KEPT:
                    self._names[asked] = found
        return found

    def name_in_any_case(self, asked: str) -> str:
        """Return the name of the model that clients call by a name in any case; empty for none, and for several."""
        wanted = asked.lower()
        part = max(re.split("[-/]", wanted), key=len)
        found = [one.name for one in self._catalog.lists.models(ModelQuery(search=part)) if part]
        named = [name for name in found if wanted in (name.lower(), hub_name(name).lower())]
        return named[0] if len(named) == 1 else ""

    def other_revision(self, name: str, commit: str) -> str:
        """Return the name of the model that is another revision of a model and has a commit; empty for none."""
        pattern = "".join("[[]" if sign == "[" else sign for sign in name) + REVISION_MARK + "*"
        for one in self._catalog.lists.models(ModelQuery(names=(pattern,))):
            model = self.model(one.name)
            if model is not None and model.find(commit) is not None:
                return one.name
        return ""

    def version(self, name: str, number: str) -> ModelVersion | None:
        """Return a version, whole, or None."""
        return self._of(self._versions, (name, number), lambda: self._catalog.get(name, number))

    def _of(self, kept: OrderedDict[K, T], key: K, read: Callable[[], T | None]) -> T | None:
        seen = self._look()
        with self._lock:
            found = kept.get(key)
            if found is not None:
                kept.move_to_end(key)
                return found
        found = read()
        with self._lock:
            # What changed meanwhile may have been dropped already: then it is not kept.
            if found is not None and self._seen == seen:
                kept[key] = found
                self._shrink()
        return found

    def _look(self) -> int:
        """Drop what changed since the last look, and return the number of the newest change."""
        newest = _newest.get()
        head = (newest or self._catalog.audit.head()).number
        with self._lock:
            seen = self._seen
        if seen is None or head <= seen:
            with self._lock:
                self._seen = head if self._seen is None else self._seen
                return self._seen
        rows = self._catalog.audit.rows(after=seen, limit=_MOST_ROWS + 1)
        changed = {row.object.partition("@")[0] for row in rows if row.action != SERVED}
        with self._lock:
            everything = len(rows) > _MOST_ROWS
            if changed:
                self._names.clear()
            for name in [one for one in self._models if everything or one in changed]:
                del self._models[name]
            for key in [one for one in self._versions if everything or one[0] in changed]:
                del self._versions[key]
            self._seen = max(head, self._seen or 0)
            return self._seen

    def _shrink(self) -> None:
        """Drop what was not asked for the longest time; the newest one always stays."""
        while len(self._models) > max(1, _MOST_KEPT // 10):
            self._models.popitem(last=False)
        sizes = {key: len(one.manifest.files) + len(one.reports) for key, one in self._versions.items()}
        total = sum(sizes.values())
        for key in list(self._versions)[:-1]:
            if total <= _MOST_KEPT:
                return
            total -= sizes[key]
            del self._versions[key]
