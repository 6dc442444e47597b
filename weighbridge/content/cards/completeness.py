"""Which files a model's own papers name and it lacks: shards of an index, parts of a split, ONNX's external data.

A model without one of its shards is intact file by file and loads nowhere. Only the chosen set of weights counts: a
repository converted to safetensors may still have the index of the pickles that it left behind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from weighbridge.content.cards.weights import INDEX_SIZE, MAIN_NAMES, ModelFile, Weights
from weighbridge.content.headers import document
from weighbridge.content.headers.config import weight_files

_INDEX = re.compile(r"\.(safetensors|bin)\.index\.json$")
_KINDS = {"safetensors": ("safetensors",), "bin": ("pickle", "zip")}
_PART = re.compile(r"^(.*)-(\d{5})-of-(\d{5})(\.\w+)$")


def missing_files(files: Sequence[ModelFile], weights: Weights | None) -> dict[str, str]:
    """Return each file that is named and not there, sorted, with the file that names it; reads the indexes only.

    Args:
        files: all files of the model.
        weights: the chosen set, or None when the model has none.
    """
    present = {file.path for file in files}
    missing: dict[str, str] = {}
    for index, named in _by_index(files, weights, present):
        missing |= dict.fromkeys(named - present, index)
    if weights:
        missing |= {path: weights.files[0] for path in weights.external if path not in present}
        if not missing:
            missing |= _parts(weights.files)
    return dict(sorted(missing.items()))


def _by_index(
    files: Sequence[ModelFile], weights: Weights | None, present: set[str]
) -> Iterable[tuple[str, frozenset[str]]]:
    """Yield, for each folder with indexes of the chosen format, the shortest name of them and what it lists.

    A folder with one whole variant, or with all weights in one file, needs no other.
    """
    folders: dict[tuple[str, str], list[ModelFile]] = defaultdict(list)
    for file in files:
        found = _INDEX.search(file.path)
        if found and file.size <= INDEX_SIZE and (weights is None or weights.kind in _KINDS[found.group(1)]):
            folders[str(PurePosixPath(file.path).parent), found.group(1)].append(file)
    for (folder, kind), indexes in folders.items():
        if kind == "safetensors" and any(_join(folder, name) in present for name in MAIN_NAMES):
            continue
        indexes.sort(key=lambda file: (len(file.path), file.path))
        listed = [
            frozenset(_join(folder, name) for name in weight_files(document.read_json(index.local).value))
            for index in indexes
        ]
        if not any(names and names <= present for names in listed):
            yield indexes[0].path, listed[0]


def _join(folder: str, name: str) -> str:
    return str(PurePosixPath(folder) / name)


def _parts(paths: Iterable[str]) -> dict[str, str]:
    """Return the parts `name-00002-of-00003` that are missing beside others, counted from 1, or from 0 where 0 is."""
    numbers: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for path in paths:
        if match := _PART.match(path):
            stem, number, total, suffix = match.groups()
            numbers[stem, total, suffix].add(int(number))
    missing = {}
    for (stem, total, suffix), found in numbers.items():
        first = 0 if 0 in found else 1
        named_by = f"{stem}-{min(found):05d}-of-{total}{suffix}"
        for number in range(first, min(int(total), 1000) + first):
            if number not in found:
                missing[f"{stem}-{number:05d}-of-{total}{suffix}"] = named_by
    return missing
