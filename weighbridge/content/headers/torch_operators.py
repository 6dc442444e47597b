"""PyTorch's operators and functions in serialized programs: which ones reach beyond tensors.

Not here: how the programs are read (torch_program).
"""

from __future__ import annotations

import re

#: Operators that write, send or run, by namespace and name as TorchScript writes them.
_HARMFUL = {
    "aten.save": "writes a file",
    "image.write_file": "writes a file",
    "torchvision.write_file": "writes a file",
    **dict.fromkeys(("torchaudio.sox_io_save_audio_file", "torchaudio.sox_io_save_audio_fileobj"), "writes a file"),
    **dict.fromkeys(("prim.rpc_async", "prim.rpc_sync", "prim.rpc_remote"), "calls another machine"),
    **dict.fromkeys(("prim.PythonOp", "prim.IgnoredPythonOp"), "calls a function of Python's"),
}
#: Operators that read a file.
_READERS = {
    "aten.from_file",
    *("image.read_file", "torchvision.read_file"),
    *("torchaudio.sox_io_load_audio_file", "torchaudio.sox_io_get_info"),
    "torchaudio.sox_effects_apply_effects_file",
}
#: Namespaces of operators that come with PyTorch or with libraries that many models name.
_KNOWN = frozenset(
    {"aten", "prim", "prims", "quantized", "quantized_decomposed", "sparse", "mkldnn", "mkldnn_prepacked", "onednn"}
    | {"prepacked", "xnnpack", "metal_prepack", "vulkan", "vulkan_prepack", "inductor", "higher_order", "rngprims"}
    | {"torchvision", "image", "video_reader", "torchaudio", "torchtext", "torch_scatter", "torch_sparse"}
    | {"torch_cluster", "torch_spline_conv", "pyg", "fbgemm", "_quantized", "static", "profiler", "torchao"}
    | {"export", "c10d_functional", "_c10d_functional", "debugprims", "nvprims", "streams", "cuda"}
)
#: What a serialized graph of `torch.export` may call: its loader follows any dotted name from `torch` on.
_TARGETS = re.compile(
    r"torch\.ops\.(?!load_library|loaded_libraries|import_module)[A-Za-z]\w*(\.(?!__)\w+){1,2}"
    r"|torch\.(sym_\w+|_sym_\w+|_check\w*|_constrain_as_\w+)"
    r"|math\.[a-z]\w*"
    r"|_operator\.(?!attrgetter|itemgetter|methodcaller|call\b)[a-z]\w*"
)
#: What its loader looks up; other names stay texts.
_LOOKED_UP = ("torch", "math", "_operator")
#: A size that depends on the input, such as `Max(1, s0 + 3)`; the loader evaluates it as Python.
_SIZE = re.compile(r"[\w\s+\-*/%(),.<>=!&|~:]*")
_NO_SIZES = re.compile(
    r"__|\.\s*[A-Za-z_]|\b(lambda|exec|eval|import|open|compile|getattr|setattr|globals|locals|vars|input|breakpoint"
    r"|print|type|dir|exit|quit|help|memoryview|object|super|delattr|hasattr|callable)\b"
)


def why_harmful(operator: str) -> str:
    """Return what an operator does beyond its tensors, as the end of “it …”, or empty."""
    return _HARMFUL.get(operator, "")


def reads_file(operator: str) -> bool:
    """Return whether an operator reads the file that it is given."""
    return operator in _READERS


def is_known(namespace: str) -> bool:
    """Return whether a namespace comes with PyTorch or with a well-known library of operators."""
    return namespace in _KNOWN


def follows_elsewhere(target: str) -> bool:
    """Return whether a graph's loader would follow a name to something else than an operator (`torch.os.system`)."""
    return target.startswith(_LOOKED_UP) and _TARGETS.fullmatch(target) is None


def is_size(expression: str) -> bool:
    """Return whether an expression only computes a size."""
    return _SIZE.fullmatch(expression) is not None and _NO_SIZES.search(expression) is None
