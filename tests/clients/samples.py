"""Small models and data sets that the clients load, made by code; each has a mark that a client reads back.

Two versions of a sample differ in their mark and nothing else. Not here: what the clients read (programs).
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from gguf import GGUFWriter

Files = Mapping[str, bytes]
_WORDS = {"[UNK]": 0, "a": 1, "b": 2, "c": 3}


def digest_of(files: Files) -> str:
    """Return what the programs print that read every file of a repository."""
    lines = (f"{path} {hashlib.sha256(body).hexdigest()}\n" for path, body in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files(mark: int) -> Files:
    """Files of several sizes and names: empty, in a folder, with a space, beyond ASCII."""
    return {
        "config.json": json.dumps({"model_type": "llama", "mark": mark}).encode(),
        "sub/größe ½.bin": f"weights {mark}".encode() * 300_000,
        "empty.txt": b"",
    }


def one_file(mark: int) -> Files:
    """One file of some megabytes, for clients that fetch files."""
    return {"model.bin": f"weights {mark}".encode() * 600_000}


def llama(mark: int) -> Files:
    """A model of one layer with its tokenizer; its embedding's numbers are all the mark."""
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 4, "hidden_size": 8}
    config |= {"intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "tie_word_embeddings": True}
    config |= {"mark": mark}
    weights = {"model.embed_tokens.weight": (4, 8)}
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": safetensors(weights, mark),
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}).encode(),
    }


def sentences(mark: int) -> Files:
    """A model for sentence-transformers: an embedding of words."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    return {
        "modules.json": json.dumps(modules).encode(),
        "config_sentence_transformers.json": b"{}",
        "tokenizer.json": tokenizer(),
        "model.safetensors": safetensors({"embedding.weight": (4, 8)}, mark),
    }


def parquet(mark: int) -> Files:
    """A data set in Parquet."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"mark": [mark], "text": ["a"]}), buffer)
    return {"data/train-00000-of-00001.parquet": buffer.getvalue(), "README.md": b"# Words\n"}


def comma_separated(mark: int) -> Files:
    """A data set as CSV, with a second file that `configs` leaves out."""
    head = b"---\nconfigs:\n- config_name: default\n  data_files: train.csv\n---\n"
    return {"train.csv": f"mark,text\n{mark},a\n".encode(), "other.csv": b"no,table\n", "README.md": head}


def json_lines(mark: int) -> Files:
    """A data set as JSON lines."""
    return {"train.jsonl": json.dumps({"mark": mark, "text": "a"}).encode() + b"\n"}


def gguf(mark: int) -> Files:
    """A GGUF of one layer; the mark is in its name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        writer = GGUFWriter(path, "llama")
        writer.add_name(f"mark {mark}")
        for key, value in {"context_length": 32, "embedding_length": 32, "block_count": 1}.items():
            getattr(writer, f"add_{key}")(value)
        writer.add_feed_forward_length(32)
        writer.add_head_count(1)
        writer.add_head_count_kv(1)
        writer.add_rope_dimension_count(32)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_file_type(0)
        tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), b"a"]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([0.0] * len(tokens))
        writer.add_token_types([2, 3, 3, *([6] * 256), 1])
        shapes = {"token_embd": (len(tokens), 32), "output_norm": (32,), "output": (len(tokens), 32)}
        block = {"attn_norm": (32,), "ffn_norm": (32,)}
        block |= dict.fromkeys(
            ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"), (32, 32)
        )
        shapes |= {f"blk.0.{name}": shape for name, shape in block.items()}
        for name, shape in shapes.items():
            writer.add_tensor(f"{name}.weight", numpy.full(shape, mark / 100, dtype=numpy.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return {"tiny-Q4_K_M.gguf": path.read_bytes(), "README.md": b"# Tiny\n"}


def pipeline(python: str, mark: int) -> Files:
    """A pipeline of diffusers, made by diffusers itself, as every weight has to be there."""
    code = (
        "import sys, torch, diffusers\n"
        "sizes = dict(sample_size=8, block_out_channels=(4,), layers_per_block=1, norm_num_groups=2)\n"
        "unet = diffusers.UNet2DModel(down_block_types=('DownBlock2D',), up_block_types=('UpBlock2D',), **sizes)\n"
        "[torch.nn.init.constant_(one, float(sys.argv[2])) for one in unet.parameters()]\n"
        "diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(sys.argv[1])\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-c", code, folder, str(mark)], check=True, capture_output=True)
        found = (path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def tokenizer() -> bytes:
    """Return a tokenizer that splits at spaces."""
    model = {"type": "WordLevel", "vocab": _WORDS, "unk_token": "[UNK]"}
    parts = {"normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], **parts, "model": model}
    return json.dumps(whole).encode()


def safetensors(shapes: Mapping[str, tuple[int, ...]], mark: int) -> bytes:
    """Return tensors that are full of the mark."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        size = 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + struct.pack("<f", mark) * (at // 4)
