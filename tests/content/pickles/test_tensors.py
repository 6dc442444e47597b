"""Tensors fit their storages, and storages their members."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.content.pickles import assembled as a
from tests.simulators import samples
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.streams import Search


def stored(elements: int, kind: str = "FloatStorage") -> bytes:
    named = a.named("torch", kind)
    return a.several(a.text("storage"), named, a.text("0"), a.text("cpu"), a.number(elements)) + b"Q"


def tensor(
    shape: list[int], strides: list[int], offset: int = 0, elements: int = 4, name: str = "_rebuild_tensor_v2"
) -> bytes:
    numbers = [a.several(*map(a.number, values)) for values in (shape, strides)]
    return a.called("torch._utils", name, stored(elements), a.number(offset), *numbers, b"\x89", b"}")


FITS = {
    "whole": tensor([4], [1]),
    "two by two": tensor([2, 2], [2, 1]),
    "a part": tensor([2], [1], 2),
    "transposed": tensor([2, 2], [1, 2]),
    "expanded": tensor([1000], [0]),
    "empty": tensor([0, 9], [9, 1], elements=0),
    "a number": tensor([], []),
}
REACHES = {
    "shape": tensor([1 << 20], [1]),
    "offset": tensor([4], [1], 1),
    "strides": tensor([2, 2], [8, 1]),
    "below": tensor([2], [1], -1),
    "negative": tensor([2], [-1]),
    "quantised": tensor([5], [1], name="_rebuild_qtensor"),
    "a number of nothing": tensor([], [], elements=0),
    "ranks": tensor([2, 2], [1]),
    "within a subclass": a.called(
        *("torch._tensor", "_rebuild_from_type_v2"),
        a.named("torch._utils", "_rebuild_tensor_v2"),
        a.named("torch", "Tensor"),
        a.several(stored(4), a.number(0), a.several(a.number(9)), a.several(a.number(1)), b"\x89", b"}"),
        b"}",
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_tensor_that_fits_its_storage_passes(name: str) -> None:
    content = a.whole(FITS[name])
    assert machine.walk(io.BytesIO(content), len(content)).sizes.problems == []


@pytest.mark.parametrize("name", REACHES)
def test_a_tensor_that_reaches_beyond_its_storage_is_said(name: str) -> None:
    content = a.whole(REACHES[name])
    assert len(machine.walk(io.BytesIO(content), len(content)).sizes.problems) == 1


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[bytes], set[str]]:
    def run(content: bytes) -> set[str]:
        path = tmp_path / "m.pt"
        path.write_bytes(content)
        search = Search(path, "zip")
        assert list(search)
        return {found.rule for found in search.findings.all}

    return run


@pytest.mark.parametrize(("kind", "size"), [("FloatStorage", 4), ("HalfStorage", 2), ("ByteStorage", 1)])
def test_a_storage_has_the_bytes_that_its_pickle_says(rules: Callable[[bytes], set[str]], kind: str, size: int) -> None:
    for place, elements in (("m/", 4), ("deep/m/", 4), ("large/", 3_000_000)):
        object_, needed = a.whole(stored(elements, kind)), elements * size
        whole = samples.zip_of({f"{place}data.pkl": object_, f"{place}data/0": bytes(needed)})
        short = samples.zip_of({f"{place}data/0": bytes(needed - 1), f"{place}data.pkl": object_})
        assert rules(whole) == set()
        assert rules(short) == {"pickle.inconsistent"}
        assert rules(samples.zip_of({"a.pt": short})) == {"pickle.inconsistent"}


def test_real_files_of_torch_fit(rules: Callable[[bytes], set[str]]) -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(24.0).reshape(4, 6)
    shared = {
        "a": base,
        "b": base.t(),
        "c": base[1:, ::2],
        "d": base.expand(2, 4, 6),
        "e": torch.zeros(0),
        "f": torch.ones(()),
    }
    kinds = {str(kind): torch.ones(3, dtype=kind) for kind in (torch.bfloat16, torch.int8, torch.bool, torch.complex64)}
    kinds["float8"] = torch.ones(3).to(torch.float8_e4m3fn)
    saved = io.BytesIO()
    torch.save({**shared, **kinds}, saved)
    assert rules(saved.getvalue()) == set()
