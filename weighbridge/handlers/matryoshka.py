"""The shorter lengths that a model's vectors may be cut to: those that its publisher trained (Matryoshka).

The first numbers of any vector are a vector, but only for such a model a good one. Its files state it: `is_matryoshka`
or `matryoshka_dimensions` in config.json, as vLLM reads them, or `truncate_dim` of sentence-transformers. Many
publishers state it only in prose, so models.yaml may state it too. Not here: cutting (embedding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.errors import InvalidConfiguration, InvalidRequest
from weighbridge.handlers.request import whole_number


@dataclass(frozen=True)
class Matryoshka:
    """The lengths of one model's vectors.

    Attributes:
        length: how many numbers a whole vector has.
        trained: whether shorter vectors were trained.
        listed: the trained lengths, where the publisher lists them; any other is refused.
    """

    length: int
    trained: bool
    listed: tuple[int, ...] = ()

    def check(self, name: str, dimensions: int | None) -> None:
        """Raise InvalidRequest where the model has no good vectors of this length; None means its own."""
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
    """Return the lengths of a model's vectors.

    Args:
        config: the configuration of its transformer.
        length: how many numbers a whole vector has.
        truncates: whether its files cut its vectors.
        option: the value in models.yaml, which precedes the files; None for no value.

    Raises:
        InvalidConfiguration: the value in models.yaml is neither true nor false.
    """
    if not isinstance(option, bool | None):
        raise InvalidConfiguration(f"matryoshka is {option!r}.", "Write true or false.")
    said = getattr(config, "matryoshka_dimensions", None)
    said = said if isinstance(said, list | tuple) else ()
    listed = tuple(sorted({number for number in said if whole_number(number) and 0 < number < length}))
    stated = bool(listed) or getattr(config, "is_matryoshka", None) is True or truncates
    return Matryoshka(length, stated if option is None else option, listed)
