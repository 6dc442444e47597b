"""JSON that has one meaning only: what a signature is over must be read alike by every program that reads it.

Names that occur twice in an object, numbers that are not finite, invalid UTF-8 and a byte order mark are refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn


class AmbiguousJson(ValueError):
    """A text that is not JSON, or that two programs may read in two ways; its message says why, for a sentence."""


def parse(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        AmbiguousJson: it is not valid, or has more than one meaning.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_not_finite)
    except UnicodeDecodeError as error:
        raise AmbiguousJson("it is not UTF-8") from error
    except RecursionError as error:
        raise AmbiguousJson("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise AmbiguousJson(f"it is not JSON: {error.msg}, at character {error.pos}") from error
    except AmbiguousJson:
        raise
    except ValueError as error:
        raise AmbiguousJson("a number in it has too many digits") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise AmbiguousJson("an object in it has the same name twice")
    return values


def _not_finite(text: str) -> NoReturn:
    raise AmbiguousJson(f"{text} is not a number of JSON")
