"""The two figures in a model's line, `(16GB, 8B)`: how they are rounded and written.

Publishers round down: the 405.85 billion weights of Llama 3.1 405B, the 32.7 of Qwen 2.5 32B. So does this.
Not here: where the numbers come from (listing).
"""

from __future__ import annotations

_BILLION, _MILLION, _THOUSAND = 10**9, 10**6, 10**3
GIGABYTE = 10**9
#: The smallest figure for memory: what a card and its software take for themselves.
SMALLEST = 4 * GIGABYTE
#: From here on a number is of billions: SmolLM's 999 million of a billion are one.
_NEARLY_A_BILLION = 995 * _MILLION


def nominal(parameters: int) -> int:
    """Return a number of weights as one says it: billions down to a tenth, or to a whole one from 100 on."""
    if parameters >= _NEARLY_A_BILLION:
        step = _BILLION if parameters >= 100 * _BILLION else _BILLION // 10
        return max(parameters // step * step, _BILLION)
    step = _MILLION if parameters >= 10 * _MILLION else _MILLION // 10
    return (parameters + step // 2) // step * step


def parameters_text(parameters: int | None) -> str:
    """Return a number of weights as in a model's name: `405B`, `1.5B`, `135M`; `?` for none."""
    if parameters is None:
        return "?"
    if parameters < _MILLION:
        return f"{parameters // _THOUSAND}K" if parameters >= _THOUSAND else str(parameters)
    rounded = nominal(parameters)
    unit, letter = (_BILLION, "B") if rounded >= _BILLION else (_MILLION, "M")
    return f"{rounded // (unit // 10) / 10:.1f}".removesuffix(".0") + letter


def memory_text(size: int | None) -> str:
    """Return bytes of memory in whole decimal gigabytes, rounded up: `16GB`; `?` for none."""
    return "?" if size is None else f"{whole_gigabytes(size) // GIGABYTE}GB"


def whole_gigabytes(size: int) -> int:
    """Return bytes rounded up to a whole number of decimal gigabytes."""
    return -(-size // GIGABYTE) * GIGABYTE
