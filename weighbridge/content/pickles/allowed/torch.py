"""PyTorch: tensors, their types, and modules that were pickled whole.

`torch.nn.Module.__setstate__` fills the instance's dictionary; what a module computes begins when somebody calls it.
"""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_TORCH = "https://github.com/pytorch/pytorch/blob/main/torch/"
#: What `torch.load(weights_only=True)` admits.
_WEIGHTS_ONLY = _TORCH + "_weights_only_unpickler.py"
_TYPES = "Float Half Double Long Int Short Char Byte Bool BFloat16 ComplexFloat ComplexDouble"
_QUANTISED = "QInt8 QUInt8 QInt32 QUInt4x2 QUInt2x4"

GROUPS = (
    Group(
        "torch",
        "value",
        "float16 float32 float64 half float double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool "
        "int short long complex32 complex64 complex128 cfloat cdouble chalf quint8 qint8 qint32 quint4x2 quint2x4 "
        "float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 "
        "int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7 "
        "bits8 bits16 bits1x8 bits2x4 bits4x2",
        _WEIGHTS_ONLY,
    ),
    Group(
        "torch",
        "value",
        "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric "
        "per_channel_affine_float_qparams",
        _WEIGHTS_ONLY,
    ),
    Group(
        "torch",
        "value",
        "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc jagged "
        "contiguous_format preserve_format channels_last channels_last_3d",
        _TORCH + "serialization.py",
    ),
    Group(
        "torch torch.cuda",
        "value",
        " ".join(f"{kind}Storage" for kind in f"{_TYPES} {_QUANTISED}".split()),
        _WEIGHTS_ONLY,
    ),
    Group("torch", "value", "Storage", _WEIGHTS_ONLY),
    Group("torch.storage", "value", "UntypedStorage TypedStorage _LegacyStorage", _WEIGHTS_ONLY),
    Group(
        "torch torch.cuda torch.sparse torch.cuda.sparse",
        "class",
        " ".join(f"{kind}Tensor" for kind in _TYPES.split()),
        _WEIGHTS_ONLY,
    ),
    Group("torch", "constructor", "Size device Generator", _WEIGHTS_ONLY),
    Group("torch torch._tensor", "class", "Tensor", _WEIGHTS_ONLY),
    Group("torch.nn.parameter torch.nn", "constructor", "Parameter Buffer", _TORCH + "nn/parameter.py", "data"),
    Group(
        "torch.nn.parameter",
        "constructor",
        "UninitializedParameter UninitializedBuffer",
        _TORCH + "nn/parameter.py",
        "data",
    ),
    Group("torch.serialization", "function", "_get_layout", _WEIGHTS_ONLY, "data"),
    Group(
        "torch._tensor",
        "function",
        "_rebuild_from_type_v2 _rebuild_from_type",
        _TORCH + "_tensor.py",
        "torch subclass",
    ),
    Group(
        "torch._utils",
        "function",
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
        "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_sparse_csr_tensor _rebuild_meta_tensor_no_storage "
        "_rebuild_nested_tensor _rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor "
        "_rebuild_xla_tensor",
        _TORCH + "_utils.py",
        "tensor first",
    ),
    Group("torch._utils", "function", "_rebuild_wrapper_subclass", _TORCH + "_utils.py", "class first"),
    Group("torch.storage", "function", "_load_from_bytes", _TORCH + "storage.py", "torch file"),
    Group("torch.torch_version", "constructor", "TorchVersion", _TORCH + "torch_version.py", "data"),
    Group(
        "torch.nn.parallel.data_parallel",
        "class",
        "DataParallel",
        _TORCH + "nn/parallel/data_parallel.py",
        objects=True,
    ),
    Group(
        "torch.nn.functional torch._C._nn torch",
        "value",
        "relu gelu silu mish elu selu celu leaky_relu hardswish hardsigmoid hardtanh relu6 tanh sigmoid softmax "
        "log_softmax softplus softsign logsigmoid cross_entropy mse_loss l1_loss nll_loss",
        _TORCH + "nn/functional.py",
        objects=True,
    ),
    Group(
        "torch.nn.backends.thnn",
        "function",
        "_get_thnn_function_backend",
        "https://github.com/pytorch/pytorch/blob/v1.2.0/torch/nn/backends/thnn.py",
        "data",
        objects=True,
        versions="<1.4",
    ),
    Group("torch.utils.hooks", "class", "RemovableHandle", _TORCH + "utils/hooks.py", objects=True),
    Group("torch.utils.data.dataset", "class", "TensorDataset Subset", _TORCH + "utils/data/dataset.py", objects=True),
)
FAMILIES = (
    Family(r"torch\.nn\.modules\.\w+", _TORCH + "nn/modules/module.py (Module.__setstate__)"),
    Family(r"torch\.optim(\.\w+)?", _TORCH + "optim/optimizer.py (Optimizer.__setstate__)"),
)
