"""Which files of a model are taken: the options `files` and `exclude` of a reference, the same for every source.

Not here: reading the options from a URI (domain.uris) or models.yaml (config.source_options).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from weighbridge.domain.name_patterns import matches
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import ModelNotFound

#: The names of the options.
FILES, EXCLUDE = "files", "exclude"
OPTIONS = frozenset({FILES, EXCLUDE})


@dataclass(frozen=True)
class Selection:
    """Names or globs; `*` matches `/` too, and a name that ends in `/` means everything below that folder.

    Attributes:
        files: what is taken; everything when empty.
        exclude: what of it is left out.
    """

    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, ref: ModelRef) -> Selection:
        """Return the selection that a reference makes."""
        return cls(*(tuple(name.removeprefix("./") for name in ref.option(key)) for key in (FILES, EXCLUDE)))

    def __bool__(self) -> bool:
        return bool(self.files or self.exclude)

    def excludes(self, path: str) -> bool:
        """Return whether a file, or everything in a folder whose name ends in `/`, is left out by `exclude`."""
        return any(path == pattern or _fits(path, pattern) for pattern in self.exclude)

    def takes(self, path: str) -> bool:
        """Return whether a file is taken."""
        wanted = not self.files or any(path == pattern or _fits(path, pattern) for pattern in self.files)
        return wanted and not self.excludes(path)

    def of_names(self, names: Iterable[str], where: str) -> set[str]:
        """Return the names that are taken.

        Args:
            names: names of all files of the model, unchecked.
            where: the model in words, for messages.

        Raises:
            ModelNotFound: a pattern of `files` matches no name, or `exclude` leaves none.
        """
        names = list(names)
        if not self:
            return set(names)
        chosen: set[str] = set()
        for pattern in self.files or ("*",):
            found = {pattern} & set(names) or {name for name in names if _fits(name, pattern)}
            if not found and names:
                raise ModelNotFound(f"{where} has no file “{pattern}”.", _some(names), pattern=pattern)
            chosen |= found
        kept = {name for name in chosen if not self.excludes(name)}
        if chosen and not kept:
            raise ModelNotFound(f"Every file of {where} is excluded.", "Exclude less.", exclude=list(self.exclude))
        return kept


def _fits(path: str, pattern: str) -> bool:
    return matches(path, f"{pattern}*" if pattern.endswith("/") else pattern)


def _some(names: list[str]) -> str:
    shown = [name for name in sorted(names) if name.isprintable()][:8]
    return f"It has {', '.join(shown) or 'none that can be shown'}{' …' if len(names) > len(shown) else ''}."
