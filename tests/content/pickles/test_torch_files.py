"""Sizes of torch's storages and tensors are held against each other in all its formats; real files are consistent."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.content.pickles.assembled import called, named, number, pairs, several, text, whole
from tests.simulators import samples
from weighbridge.content.detection import detect_file
from weighbridge.content.pickles.streams import Search

ODICT = called("collections", "OrderedDict")
EVIL = samples.malicious_pickle(2)


def storage(elements: int, kind: str = "FloatStorage", key: str = "0", *more: bytes) -> bytes:
    parts = (text("storage"), named("torch", kind), text(key), text("cpu"), number(elements), *more)
    return several(*parts) + b"Q"


def tensor(inner: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    shapes = (several(*map(number, shape)), several(*map(number, strides)))
    return called("torch._utils", "_rebuild_tensor_v2", inner, number(offset), *shapes, b"\x89", ODICT)


def of(*tensors: bytes) -> bytes:
    return whole(pairs(**{f"w{place}": one for place, one in enumerate(tensors)}))


def zipped(pickled: bytes, **members: bytes) -> bytes:
    return samples.zip_of(
        {"a/data.pkl": pickled, "a/version": b"3\n"} | {f"a/data/{k[1:]}": v for k, v in members.items()}
    )


def legacy(pickled: bytes, storages: dict[str, tuple[int, bytes]]) -> bytes:
    head = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2)]
    raw = [struct.pack("<q", count) + content for count, content in storages.values()]
    return b"".join([*head, pickled, pickle.dumps(list(storages), 2), *raw])


def tar(pickled: bytes, after: bytes = b"", pickled_views: bytes = pickle.dumps([], 2)) -> bytes:
    one = whole(several(number(1), text("cpu"), named("torch", "FloatStorage")))
    of_tensor = whole(several(number(2), number(1), named("torch", "FloatTensor")))
    shape = struct.pack("<iiqqq", 1, 0, 4, 1, 0)
    return samples.tar_of({
        "sys_info": pickle.dumps({"protocol_version": 1000}, 2),
        "pickle": pickled,
        "storages": pickle.dumps(1, 2) + one + struct.pack("<q", 4) + b"cos\n" * 4 + pickled_views,
        "tensors": pickle.dumps(1, 2) + of_tensor + shape + after,
    })  # fmt: skip


@pytest.fixture
def search(tmp_path: Path) -> Callable[[bytes], tuple[dict[str, str], Search, list[Any]]]:
    def run(content: bytes) -> tuple[dict[str, str], Search, list[Any]]:
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        found = Search(path, detect_file(path.name, path))
        streams = list(found)
        rules = {finding.rule: finding.level for finding in found.findings.all}
        if any(one.walked.sizes.problems for one in streams):
            rules["pickle.inconsistent"] = "error"
        return rules, found, streams

    return run


INCONSISTENT = {
    "a tensor beyond its storage": of(tensor(storage(4), (1 << 20,), (1,))),
    "an offset beyond it": of(tensor(storage(4), (4,), (1,), 1)),
    "strides beyond it": of(tensor(storage(4), (2, 2), (3, 1))),
    "a negative offset": of(tensor(storage(4), (1,), (1,), -1)),
    "a negative stride": of(tensor(storage(4), (2,), (-1,))),
    "a negative shape": of(tensor(storage(4), (-2, -2), (1, 1))),
    "more lengths than strides": of(tensor(storage(4), (2, 2), (1,))),
    "a storage below nothing": of(storage(-1)),
    "a view beyond its storage": of(storage(4, "FloatStorage", "0", several(text("1"), number(0), number(5)))),
    "two sizes of one storage": of(storage(4), storage(2)),
    "a storage that is too short": of(tensor(storage(5), (5,), (1,))),
    "a storage of wider numbers": of(tensor(storage(4, "DoubleStorage"), (4,), (1,))),
}


@pytest.mark.parametrize("name", INCONSISTENT)
def test_sizes_that_do_not_fit_are_errors(search: Callable[..., Any], name: str) -> None:
    rules, _, _ = search(zipped(INCONSISTENT[name], _0=bytes(16)))
    assert rules == {"pickle.inconsistent": "error"}


@pytest.mark.parametrize("name", sorted(INCONSISTENT.keys() - {"a storage of wider numbers"}))
def test_and_in_a_legacy_file(search: Callable[..., Any], name: str) -> None:
    rules, _, _ = search(legacy(INCONSISTENT[name], {"0": (4, bytes(16))}))
    assert rules["pickle.inconsistent"] == "error"


CONSISTENT = {
    "one": of(tensor(storage(4), (4,), (1,))),
    "transposed": of(tensor(storage(4), (2, 2), (1, 2))),
    "expanded": of(tensor(storage(4), (100, 4), (0, 1))),
    "empty": of(tensor(storage(4), (0, 9), (9, 1), 4)),
    "no dimensions": of(tensor(storage(4), (), (), 3)),
    "shared": of(tensor(storage(4), (2,), (1,)), tensor(storage(4), (2,), (1,), 2)),
    "half as wide": of(tensor(storage(8, "HalfStorage"), (8,), (1,))),
}


@pytest.mark.parametrize("name", CONSISTENT)
def test_sizes_that_fit_are_nothing(search: Callable[..., Any], name: str) -> None:
    rules, found, _ = search(zipped(CONSISTENT[name], _0=b"cos\n" * 4))
    assert (rules, found.unread) == ({}, "")
    count = 8 if name == "half as wide" else 4
    rules, found, streams = search(legacy(CONSISTENT[name], {"0": (count, b"cos\n" * 4)}))
    assert (rules, found.unread, len(streams)) == ({}, "", 5)


def test_a_declared_storage_is_numbers_whatever_it_looks_like(search: Callable[..., Any]) -> None:
    pickled = of(tensor(storage(len(EVIL), "ByteStorage"), (len(EVIL),), (1,)))
    _, found, streams = search(zipped(pickled, _0=EVIL))
    assert ([one.location for one in streams], found.unread) == (["a/data.pkl"], "")
    _, _, streams = search(zipped(pickled, _1=EVIL))
    assert [one.location for one in streams] == ["a/data.pkl", "a/data/1"]


def test_what_follows_the_storages_of_a_legacy_file_is_searched(search: Callable[..., Any]) -> None:
    whole_file = legacy(CONSISTENT["one"], {"0": (4, bytes(16))})
    assert len(search(whole_file + EVIL)[2]) == 6
    assert search(whole_file + b"\x01\x02\x03")[0] == {"pickle.trailing-data": "warning"}
    assert search(whole_file[:-1])[0] == {"pickle.inconsistent": "error"}


def test_a_tar_of_torch_is_searched_between_its_storages(search: Callable[..., Any]) -> None:
    rules, found, streams = search(tar(whole(ODICT)))
    assert (rules, found.unread, len(streams)) == ({}, "", 7)
    for hidden in (tar(EVIL), tar(whole(ODICT), after=EVIL), tar(whole(ODICT), pickled_views=EVIL)):
        _, _, streams = search(hidden)
        assert any(named.name == "system" for one in streams for named in one.walked.imports)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("new", [True, False])
def test_what_torch_writes_is_consistent(search: Callable[..., Any], new: bool) -> None:
    torch = pytest.importorskip("torch")
    whole_tensor = torch.arange(24.0).reshape(4, 6)
    state = {
        "whole": whole_tensor,
        "transposed": whole_tensor.t(),
        "part": whole_tensor[1:3, 2:],
        "half": torch.randn(9).half(),
        "brain": torch.ones(9, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(3),
        "complex": torch.randn(3, dtype=torch.complex64),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "quantised": torch.quantize_per_tensor(torch.randn(4), 0.1, 128, torch.quint8),
        "bytes": torch.tensor(list(EVIL), dtype=torch.uint8),
    }
    if new:
        state |= {"small": torch.randn(4).to(torch.float8_e4m3fn), "unsigned": torch.ones(3, dtype=torch.uint16)}
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=new)
    rules, found, streams = search(buffer.getvalue())
    assert (rules, found.unread, len(streams)) == ({}, "", 1 if new else 5)
    assert len(streams[0 if new else 3].walked.sizes.storages) >= 10
