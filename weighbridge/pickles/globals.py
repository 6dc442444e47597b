"""Which globals of a pickle are what: the few that tensors need, those that harm, and all the others.

The list of the harmless follows what `torch.load(weights_only=True)` admits (torch/_weights_only_unpickler.py) and what
numpy's arrays are rebuilt with; everything that is not on it is at least unknown.
"""

from __future__ import annotations

from typing import Literal

from weighbridge.pickles.opcodes import Import

Kind = Literal["harmless", "unknown", "dangerous"]

_DTYPES = (
    "float16 float32 float64 half float double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool "
    "complex32 complex64 complex128 quint8 qint8 qint32 quint4x2 float8_e4m3fn float8_e5m2 float8_e4m3fnuz "
    "float8_e5m2fnuz"
)
_HARMLESS = {
    "collections": "OrderedDict defaultdict Counter deque",
    "builtins": "set frozenset bytearray bytes complex slice range list dict tuple int float str bool object",
    "__builtin__": "set frozenset bytearray bytes complex slice xrange list dict tuple int float str "
    "unicode bool long object",
    "copyreg": "_reconstructor",
    "copy_reg": "_reconstructor",
    "_codecs": "encode",
    "datetime": "datetime date time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "argparse": "Namespace",
    "torch": "Size device Tensor Generator strided sparse_coo Storage "
    "FloatStorage HalfStorage DoubleStorage LongStorage IntStorage ShortStorage CharStorage ByteStorage BoolStorage "
    "BFloat16Storage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage " + _DTYPES,
    "torch.storage": "UntypedStorage TypedStorage _LegacyStorage",
    "torch.nn.parameter": "Parameter UninitializedParameter Buffer",
    "torch.nn": "Parameter",
    "torch.serialization": "_get_layout",
    "torch._tensor": "_rebuild_from_type_v2",
    "torch._utils": "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
    "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage "
    "_rebuild_nested_tensor _rebuild_wrapper_subclass",
    "numpy": "ndarray dtype int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
    "complex64 complex128 bool_",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
}  # fmt: skip
HARMLESS = frozenset((module, name) for module, names in _HARMLESS.items() for name in names.split())

#: Modules whose mere import or whose functions run code, reach the system, or load further code.
_DANGEROUS = """
os posix nt posixpath ntpath sys subprocess _posixsubprocess shutil socket _socket ssl ctypes _ctypes importlib
imp runpy pickle _pickle cPickle dill cloudpickle marshal shelve code codeop pty tty webbrowser commands popen2
platform asyncio multiprocessing threading _thread concurrent signal resource gc inspect types functools
operator itertools timeit profile cProfile pdb bdb trace tracemalloc doctest unittest test pydoc pip setuptools
distutils ensurepip venv idlelib lib2to3 turtle tkinter http httplib urllib urllib2 urllib3 requests aiohttp
httpx ftplib smtplib smtpd telnetlib poplib imaplib nntplib xmlrpc zipimport zipfile tarfile pkgutil
modulefinder site sitecustomize usercustomize linecache tempfile fileinput glob pathlib io _io builtins
__builtin__ __main__ logging atexit sched ast dis compileall py_compile antigravity weakref contextlib jinja2
paramiko fabric IPython ipykernel jupyter torch.hub torch.serialization torch.jit torch._inductor torch._dynamo
torch.utils.cpp_extension torch.utils._config_module torch.distributed torch.multiprocessing torch.package
torch.fx numpy.testing numpy.f2py numpy.distutils numpy.lib numpy.ctypeslib pandas.io joblib sklearn.externals
tensorflow.python keras transformers huggingface_hub
"""
_DANGEROUS_MODULES = frozenset(_DANGEROUS.split())


def classify(found: Import) -> Kind:
    """Return what a global is; one whose name is computed while loading is dangerous."""
    if not found.module:
        return "dangerous"
    if (found.module, found.name) in HARMLESS:
        return "harmless"
    parts = found.module.split(".")
    prefixes = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    if prefixes & _DANGEROUS_MODULES or "." in found.name or found.name.startswith("__"):
        return "dangerous"
    return "unknown"
