"""GGUF in several parts, as llama.cpp's gguf-split writes them: `name-00001-of-00003.gguf`.

transformers reads only one file. Not here: the names of parts (domain.gguf_names), and the place of the merged file
(conversion).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weighbridge.domain.gguf_names import first_part


def whole_sizes(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the size of each GGUF in bytes by its name; that of a split one, in all, by the name of its first part."""
    found: dict[str, int] = {}
    for file, size in sizes.items():
        found[first_part(file)] = found.get(first_part(file), 0) + size
    return found


def merge(parts: Sequence[Path], target: Path) -> None:
    """Write one GGUF with the metadata of the first part and the tensors of all.

    Raises:
        ValueError: they are not parts of one file. gguf may raise further exceptions for other files.
    """
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    readers = [GGUFReader(part) for part in parts]
    first = readers[0]
    writer = GGUFWriter(target, arch=str(_field(first, "general.architecture")), endianess=first.endianess)
    for key, field in first.fields.items():
        if not key.startswith(("GGUF.", "split.")) and key != "general.architecture":
            inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], inner)
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    if (stated := first.get_field("split.tensors.count")) is not None and stated.contents() != len(tensors):
        raise ValueError(f"the parts have {len(tensors)} tensors, and the first one states {stated.contents()}")
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, tensor.tensor_type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(tensor.data, tensor_endianess=first.endianess)
    writer.close()


def _field(reader: Any, key: str) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise ValueError(f"the first part lacks {key}")
    return field.contents()
