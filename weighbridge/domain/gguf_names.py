"""Names of GGUF files: the quantisation that a name says, parts that belong together, and which file a tag means.

The words are those of the Hugging Face Hub, which has a tag for each quantisation, and Q4_K_M as the default. Not here:
what a file's header says (content.headers.gguf).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Quantisations in the order in which a default is looked for: the first that a model has.
DEFAULTS = (
    *("Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "UD-Q4_K_M", "Q4_K", "IQ4_NL", "IQ4_XS", "Q4_0", "Q4_1"),
    *("MXFP4", "MXFP4_MOE", "Q5_K_M", "Q8_0"),
)
#: A whole word of a name: `AVQ2` is no Q2.
_QUANTISATION = re.compile(
    r"(?<![A-Z0-9])"
    r"((?:UD-)?(?:IQ[1-8]_(?:XXS|XS|S|M|NL|L|XL)(?:_XL)?|Q[1-8]_K(?:_(?:XXL|XL|L|M|S|XS))?|Q[1-8]_[0-9](?:_[0-9]){0,2}"
    r"|TQ[12]_0|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32))"
    r"(?![A-Z0-9_])"
)
_PART = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_SUFFIX = ".gguf"


@dataclass(frozen=True)
class GgufFile:
    """One model in GGUF.

    Attributes:
        paths: its file, or the files of its parts in their order.
        quantisation: in upper case; empty where the name says none.
    """

    paths: tuple[str, ...]
    quantisation: str

    @property
    def is_split(self) -> bool:
        """Whether it is in several files."""
        return len(self.paths) > 1

    def is_called(self, tag: str) -> bool:
        """Return whether a tag is its quantisation, or the name of its file, in any case."""
        name, wanted = self.paths[0].rpartition("/")[2].lower(), tag.lower()
        return wanted in (self.quantisation.lower(), name, name.removesuffix(_SUFFIX))


def quantisation(path: str) -> str:
    """Return the quantisation that a file's name says, in upper case; the last one of several, and empty for none."""
    found = _QUANTISATION.findall(path.rpartition("/")[2].upper().replace(".", "-"))
    return found[-1] if found else ""


def is_projector(path: str) -> bool:
    """Return whether a GGUF is the part of a model that reads images or sound."""
    return "mmproj" in path.rpartition("/")[2].lower()


def gguf_files(paths: Iterable[str]) -> tuple[GgufFile, ...]:
    """Return the models in GGUF among files, sorted by path; projectors and importance matrices are none."""
    whole: dict[str, list[str]] = {}
    for path in sorted(paths):
        name = path.rpartition("/")[2].lower()
        if name.endswith(_SUFFIX) and not is_projector(path) and "imatrix" not in name:
            whole.setdefault(first_part(path), []).append(path)
    return tuple(GgufFile(tuple(parts), quantisation(first)) for first, parts in whole.items())


def chosen(files: Sequence[GgufFile], tag: str) -> GgufFile | None:
    """Return the model that a tag means, or None.

    Without a tag, it is the one of the first quantisation of `DEFAULTS` that there is, else the first one; one in a
    single file comes before one in parts.
    """
    if tag:
        return next((one for one in files if one.is_called(tag)), None)
    ordered = sorted(files, key=lambda one: (one.is_split, _rank(one.quantisation)))
    return ordered[0] if ordered else None


def projector(paths: Iterable[str]) -> str:
    """Return the projector among files: the one in F16 if there are several; empty for none."""
    found = sorted(path for path in paths if path.lower().endswith(_SUFFIX) and is_projector(path))
    return next((path for path in found if quantisation(path) in ("F16", "FP16")), found[0] if found else "")


def first_part(file: str) -> str:
    """Return the name of a split's first part, or the name itself where it is not a part."""
    part = _PART.fullmatch(file)
    return f"{part['name']}-00001-of-{part['count']}.gguf" if part else file


def parts_of(file: str) -> list[str]:
    """Return the names of all parts of a GGUF for the name of one; only that name where it is not a part."""
    part = _PART.fullmatch(file)
    if part is None:
        return [file]
    return [f"{part['name']}-{number:05}-of-{part['count']}.gguf" for number in range(1, int(part["count"]) + 1)]


def _rank(name: str) -> int:
    return DEFAULTS.index(name) if name in DEFAULTS else len(DEFAULTS)
