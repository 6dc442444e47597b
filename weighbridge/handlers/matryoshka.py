"""The shorter lengths that a model's vectors may be cut to: those that its publisher trained (Matryoshka).

The first numbers of any vector are a vector, but only of such a model a good one. Its files say so: `is_matryoshka` or
`matryoshka_dimensions` in config.json, as vLLM reads them, or `truncate_dim` of sentence-transformers. Many publishers
say it in prose alone, so that models.yaml may say it too. Not here: cutting (embedding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.errors import InvalidConfiguration, InvalidRequest
from weighbridge.handlers.request import whole_number


@dataclass(frozen=True)
class Matryoshka:
    """What may be asked of one model.

    Attributes:
        length: numbers of a whole vector.
        trained: whether shorter vectors were trained.
        listed: the lengths that were, where the publisher lists them; any other is refused.
    """

    length: int
    trained: bool
    listed: tuple[int, ...] = ()

    def check(self, name: str, dimensions: int | None) -> None:
        """Raise InvalidRequest where no good vector of the model has so many numbers; None asks for its own."""
        if dimensions is None or dimensions == self.length:
            return
        if dimensions > self.length:
            raise InvalidRequest(
                f"{name} makes vectors of {self.length:,} numbers, and {dimensions:,} are asked for.",
                f"Ask for {self.length:,} at most.",
            )
        if not self.trained:
            raise InvalidRequest(
                f"{name} was not trained for shorter vectors, as far as its files say.",
                f"Leave dimensions out; or, if its publisher says so (Matryoshka), write `matryoshka: true` in "
                f"models.yaml. Its vectors have {self.length:,} numbers.",
            )
        if self.listed and dimensions not in self.listed:
            lengths = ", ".join(f"{length:,}" for length in (*self.listed, self.length))
            raise InvalidRequest(
                f"{name} was not trained for vectors of {dimensions:,} numbers.", f"Ask for {lengths}."
            )


def read_matryoshka(config: Any, length: int, *, truncates: bool, option: bool | None) -> Matryoshka:
    """Return what may be asked of a model.

    Args:
        config: of its transformer.
        length: numbers of a whole vector.
        truncates: whether its files cut its vectors themselves.
        option: what models.yaml says, which counts before the files: None for nothing.

    Raises:
        InvalidConfiguration: models.yaml says something else than true or false.
    """
    if not isinstance(option, bool | None):
        raise InvalidConfiguration(f"matryoshka is {option!r}.", "Write true or false.")
    said = getattr(config, "matryoshka_dimensions", None)
    said = said if isinstance(said, list | tuple) else ()
    listed = tuple(sorted({number for number in said if whole_number(number) and 0 < number < length}))
    stated = bool(said) or getattr(config, "is_matryoshka", None) is True or truncates
    return Matryoshka(length, stated if option is None else option, listed)
