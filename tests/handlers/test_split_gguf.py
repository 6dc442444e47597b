"""GGUF in parts is the same model as in one file; a part that is missing or foreign is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from tests.handlers import tiny
from weighbridge.domain.gguf_names import first_part, parts_of
from weighbridge.errors import HandlerError
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.split_gguf import merge, whole_sizes

pytestmark = pytest.mark.xdist_group("torch")
HELLO = [{"role": "user", "content": "hello"}]
WIDTH, HIDDEN, LETTERS = 32, 64, 259


def tensors() -> dict[str, np.ndarray]:
    """Return the weights of a Llama of one layer."""
    dice = np.random.default_rng(0)
    shapes = {"token_embd": (LETTERS, WIDTH), "output": (LETTERS, WIDTH), "output_norm": (WIDTH,)}
    shapes |= {f"blk.0.{name}": (WIDTH, WIDTH) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    shapes |= {"blk.0.ffn_gate": (HIDDEN, WIDTH), "blk.0.ffn_up": (HIDDEN, WIDTH), "blk.0.ffn_down": (WIDTH, HIDDEN)}
    shapes |= {"blk.0.attn_norm": (WIDTH,), "blk.0.ffn_norm": (WIDTH,)}
    return {f"{name}.weight": dice.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def write(file: Path, weights: Mapping[str, np.ndarray], *, papers: bool = True, total: int = 0) -> None:
    """Write a GGUF with these weights; with `papers` what a model says of itself, with a total as a part of several."""
    writer = GGUFWriter(file, arch="llama")
    if papers:
        writer.add_vocab_size(LETTERS)
        writer.add_block_count(1)
        writer.add_context_length(tiny.CONTEXT)
        writer.add_embedding_length(WIDTH)
        writer.add_feed_forward_length(HIDDEN)
        writer.add_head_count(4)
        writer.add_head_count_kv(4)
        writer.add_layer_norm_rms_eps(1e-6)
        writer.add_token_list([f"token {number}" for number in range(LETTERS)])
        writer.add_token_types([1] * LETTERS)
    if total:
        writer.add_key_value("split.tensors.count", total, GGUFValueType.INT32)
    for name, weight in weights.items():
        writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def split(folder: Path, count: int = 3) -> list[Path]:
    """Write the weights in parts, the papers in the first alone."""
    whole = list(tensors().items())
    files = [folder / f"m-{number + 1:05}-of-{count:05}.gguf" for number in range(count)]
    for number, file in enumerate(files):
        write(file, dict(whole[number::count]), papers=not number, total=len(whole))
    return files


def test_parts_are_merged_into_the_file_that_they_were(tmp_path: Path) -> None:
    merge(split(tmp_path), tmp_path / "merged.gguf")
    write(tmp_path / "whole.gguf", tensors())
    merged, whole = GGUFReader(tmp_path / "merged.gguf"), GGUFReader(tmp_path / "whole.gguf")
    papers = [
        {key: (field.types, field.contents()) for key, field in file.fields.items() if not key.startswith("GGUF.")}
        for file in (merged, whole)
    ]
    assert papers[0] == papers[1]
    held = [{tensor.name: np.array(tensor.data) for tensor in file.tensors} for file in (merged, whole)]
    assert held[0].keys() == held[1].keys()
    assert all(np.array_equal(held[0][name], held[1][name]) for name in held[0])


def test_a_model_in_parts_answers_as_in_one_file(tmp_path: Path) -> None:
    answers = []
    for name, parted in {"whole": False, "parts": True}.items():
        folder = tmp_path / name
        folder.mkdir()
        tiny.tokenizer(folder)
        if parted:
            split(folder)
        else:
            write(folder / "m.gguf", tensors())
        for kept in ({}, {"converted": str(tmp_path / f"kept {name}")}, {"converted": str(tmp_path / f"kept {name}")}):
            handler = TextChat(str(folder), "cpu", dtype="float32", **kept)
            answers.append(handler.generate(HELLO, max_new_tokens=6, temperature=0.0, top_p=1.0))
    assert answers == [answers[0]] * 6
    assert not list(tmp_path.rglob(".merging-*"))


def test_a_part_that_is_missing_or_foreign_is_told(tmp_path: Path) -> None:
    tiny.tokenizer(tmp_path)
    files = split(tmp_path)
    files[1].rename(tmp_path / "away")
    with pytest.raises(HandlerError, match=r"lacks 1 of the 3 parts.*m-00002-of-00003"):
        TextChat(str(tmp_path), "cpu")
    write(files[1], {"token_embd.weight": tensors()["token_embd.weight"]}, papers=False)
    with pytest.raises(HandlerError, match="cannot be loaded"):
        TextChat(str(tmp_path), "cpu")
    files[1].write_bytes(b"GGUF")
    with pytest.raises(HandlerError, match="cannot be loaded"):
        TextChat(str(tmp_path), "cpu")


def test_names_of_parts() -> None:
    parts = [f"a-{number:05}-of-00002.gguf" for number in (1, 2)]
    assert (parts_of(parts[1]), first_part(parts[1])) == (parts, parts[0])
    assert (parts_of("a-1-of-2.gguf"), first_part("b.gguf")) == (["a-1-of-2.gguf"], "b.gguf")
    assert whole_sizes({parts[0]: 5, parts[1]: 6, "b.gguf": 7}) == {parts[0]: 11, "b.gguf": 7}
