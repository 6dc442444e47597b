"""Counts harmless files that are reported as pickles: `python -m bench.false_alarms`, 100,000 storages and layouts.

The files are weights of every dtype and many lengths, from usual and from unusual distributions, and the layouts in
which tools write them. It prints one line for each kind; the number has to be 0.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from weighbridge.content.detection import HEAD_SIZE, detect
from weighbridge.content.pickles.chain import Chain, SearchedFile
from weighbridge.content.pickles.machine import Budget
from weighbridge.content.pickles.streams import MAX_PICKLES

#: The bytes of the pool of each dtype and distribution from which storages are cut.
_POOL = 4 * 1024 * 1024
_LONGEST = 8 * 1024

Numbers = NDArray[np.float64]


def _bfloat16(values: Numbers) -> bytes:
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()


def _float8_e5m2(values: Numbers) -> bytes:
    return (values.astype("<f2").view("<u2") >> 8).astype("u1").tobytes()


def _float8_e4m3(values: Numbers) -> bytes:
    codes = np.arange(127)
    steps = np.where(codes < 8, codes / 512, (8 + codes % 8) * 2.0 ** (codes // 8 - 10))
    nearest = np.searchsorted(steps, np.abs(values)).clip(0, 126)
    return (nearest | np.where(values < 0, 128, 0)).astype("u1").tobytes()


def _of(dtype: str) -> Callable[[Numbers], bytes]:
    def numbers(values: Numbers) -> bytes:
        with np.errstate(all="ignore"):
            scaled = values if dtype[1] in "fc" else np.round(values * (1 if np.abs(values).max() > 8 else 100))
            return scaled.astype(dtype).tobytes()

    return numbers


DTYPES: dict[str, tuple[int, Callable[[Numbers], bytes]]] = {
    "float32": (4, _of("<f4")),
    "float16": (2, _of("<f2")),
    "bfloat16": (2, _bfloat16),
    "float8_e4m3fn": (1, _float8_e4m3),
    "float8_e5m2": (1, _float8_e5m2),
    "float64": (8, _of("<f8")),
    "complex64": (8, _of("<c8")),
    "int8": (1, _of("<i1")),
    "uint8": (1, _of("|u1")),
    "int16": (2, _of("<i2")),
    "int32": (4, _of("<i4")),
    "int64": (8, _of("<i8")),
}
DISTRIBUTIONS: dict[str, Callable[[Generator, int], Numbers]] = {
    "normal": lambda random, count: random.normal(0, 0.02, count),
    "norm weights": lambda random, count: random.normal(1, 0.05, count),
    "wide": lambda random, count: random.normal(0, 50, count),
    "sparse": lambda random, count: random.normal(0, 1, count) * (random.random(count) < 0.1),
    "arange": lambda random, count: np.arange(count, dtype="f8") % 40_000,
}


def storages(count: int, random: Generator) -> Iterator[tuple[str, bytes]]:
    """Yield `count` storages, each with its kind: of every dtype, from every distribution, of many lengths."""
    kinds = [*((dtype, name) for dtype in DTYPES for name in (*DISTRIBUTIONS, "constant", "zeros", "ones", "bits"))]
    for number, (dtype, name) in enumerate(kinds):
        size, encode = DTYPES[dtype]
        share = count // len(kinds) + (number < count % len(kinds))
        lengths = np.exp(random.uniform(0, np.log(_LONGEST // size), share)).astype(int).clip(1) * size
        if name == "constant":
            values = (random.bytes(size) for _ in range(share))
            contents = (value * (length // size) for value, length in zip(values, lengths, strict=True))
        elif name in ("zeros", "ones"):
            value = encode(np.full(1, float(name == "ones")))
            contents = (value * (int(length) // size) for length in lengths)
        else:
            pool = random.bytes(_POOL) if name == "bits" else encode(DISTRIBUTIONS[name](random, _POOL // size))
            starts = random.integers(0, (len(pool) - _LONGEST) // size, share) * size
            contents = (pool[start : start + length] for start, length in zip(starts, lengths, strict=True))
        yield from ((f"{dtype} {name}", content) for content in contents)


def layouts(count: int, random: Generator) -> Iterator[tuple[str, str, bytes]]:
    """Yield `count` files in tools' layouts, each with its kind and a name."""
    makers = (_safetensors, _npy, _msgpack, _word2vec, _core_ml, _labels)
    for number in range(count):
        yield makers[number % len(makers)](random, number)


def _weights(random: Generator, count: int = 64) -> bytes:
    return random.normal(0, 0.02, count).astype("<f4").tobytes()


def _safetensors(random: Generator, number: int) -> tuple[str, str, bytes]:
    """Return a file with a header of any length, as the length is the file's first bytes."""
    length = 2 + (number * 7919) % 70_000
    header = json.dumps({"w": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}}).encode()
    return (
        "safetensors",
        "model.safetensors",
        struct.pack("<Q", max(length, len(header))) + header.ljust(length) + _weights(random),
    )


def _npy(random: Generator, number: int) -> tuple[str, str, bytes]:
    buffer = io.BytesIO()
    for _ in range(1 + number % 2):
        np.save(buffer, random.normal(0, 0.02, 1 + number % 50).astype(("<f2", "<f4", "<i8", "|u1")[number % 4]))
    return "npy", "w.npy", buffer.getvalue()


def _msgpack(random: Generator, number: int) -> tuple[str, str, bytes]:
    """Return a file of spaCy or thinc: a map, or an array, of a few keys with bytes."""
    key = b"attrs"
    return "msgpack", "model", bytes((0x80 + number % 32, 0xA0 + len(key))) + key + b"\xc5\1\0" + _weights(random)


def _word2vec(random: Generator, number: int) -> tuple[str, str, bytes]:
    rows = b"".join(b"word%d " % row + _weights(random, 4) + b"\n" for row in range(4))
    return "word2vec", "vectors.bin", b"%d 4\n" % random.integers(1, 10_000_000) + rows


def _core_ml(random: Generator, number: int) -> tuple[str, str, bytes]:
    blob = struct.pack("<IIQQ", 0xDEADBEEF, 1, 64, 128) + bytes(40)
    return "Core ML", "weight.bin", struct.pack("<II", 1 + number % 5000, 2) + bytes(56) + blob + _weights(random)


_WORDS = ("calendar", "email", "os", "code", "cat", "string", "copy", "io", "c", "I1", "token", "the", "posix")


def _labels(random: Generator, number: int) -> tuple[str, str, bytes]:
    return "labels", "labels.txt", "".join(f"{word}\n" for word in random.choice(_WORDS, 8)).encode()


#: Names of files with raw numbers, in a folder and in torch's zip.
_NAMES = ("pytorch_model.bin", "model.onnx_data", "openvino_model.bin", "weights.dat", "archive/data/7", "weights")


def is_alarm(name: str, content: bytes) -> bool:
    """Return whether a harmless file is reported as a pickle, or as an unreadable one."""
    kind = detect(name, content[:HEAD_SIZE], len(content))
    chain = Chain(SearchedFile(io.BytesIO(content), len(content), kind), Budget(), MAX_PICKLES)
    return any(True for _ in chain) or kind == "pickle" or bool(chain.unread) or len(chain.findings) > 0


def measure(count: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Return the number of files of each kind, and how many of them were reported as pickles."""
    random = np.random.default_rng(seed)
    files, alarms = Counter[str](), Counter[str]()
    for number, (kind, content) in enumerate(storages(count, random)):
        files[kind] += 1
        alarms[kind] += is_alarm(_NAMES[number % len(_NAMES)], content)
    for kind, name, content in layouts(count // 5, random):
        files[kind] += 1
        alarms[kind] += is_alarm(name, content)
    return files, alarms


def main() -> int:
    """Measure and print; return 1 when a file was reported as a pickle."""
    parser = argparse.ArgumentParser(prog="python -m bench.false_alarms", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="storages; a fifth as many layouts are added")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.monotonic()
    files, alarms = measure(options.count, options.seed)
    for kind, number in files.items():
        print(f"{kind:28} {number:7,} {alarms[kind]:5,}")
    print(f"{files.total():,} files, {alarms.total():,} called pickles, {time.monotonic() - start:.0f} s")
    return int(alarms.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
