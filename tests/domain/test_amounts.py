"""Numbers of weights and amounts of memory as people write them."""

from __future__ import annotations

import pytest

from weighbridge.domain.amounts import memory_size, weights_number
from weighbridge.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16", 16 * 10**9),
        ("16GB", 16 * 10**9),
        ("16 gb", 16 * 10**9),
        ("16G", 16 * 10**9),
        ("1.5gb", 1_500_000_000),
        ("80GiB", 80 * 2**30),
        ("500MB", 500 * 10**6),
        ("16000000000B", 16 * 10**9),
        ("999999999999TB", 2**63 - 1),
    ],
)
def test_memory(text: str, size: int) -> None:
    assert memory_size(text) == size


@pytest.mark.parametrize(("text", "number"), [("135M", 135 * 10**6), ("7b", 7 * 10**9), ("10e9", 10**10), ("8", 8)])
def test_weights(text: str, number: int) -> None:
    assert weights_number(text) == number


@pytest.mark.parametrize("text", ["", "much", "-1", "16GX", "1e999", "١٦"])
def test_what_is_no_amount(text: str) -> None:
    for read in (memory_size, weights_number):
        with pytest.raises(UsageError):
            read(text)
