"""Which globals of a pickle are what: the few that tensors need, those that harm, and all the others.

The harmless follow what `torch.load(weights_only=True)` admits (torch/_weights_only_unpickler.py) and what numpy's,
scipy's and joblib's arrays are rebuilt with; everything else is at least unknown. The standard library is harmful as a
whole but for what is named here: scanners that list its dangerous functions one by one were bypassed again and again.
"""

from __future__ import annotations

import _compat_pickle
import hashlib
import sys
from typing import Literal

from weighbridge.content.pickles.machine import Import

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
    "array": "_array_reconstructor array",
    "pathlib": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "joblib.numpy_pickle": "NumpyArrayWrapper",
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
    "numpy.dtypes": "BoolDType Int8DType Int16DType Int32DType Int64DType UInt8DType UInt16DType UInt32DType "
    "UInt64DType Float16DType Float32DType Float64DType Complex64DType Complex128DType StringDType StrDType "
    "BytesDType",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._philox": "Philox",
    "numpy.random._sfc64": "SFC64",
    "scipy.sparse._csr": "csr_matrix csr_array",
    "scipy.sparse._csc": "csc_matrix csc_array",
    "scipy.sparse._coo": "coo_matrix coo_array",
}
HARMLESS = frozenset((module, name) for module, names in _HARMLESS.items() for name in names.split())

#: Of the standard library: what pickles of plain values hold now and then, none of which runs what it is given.
_PLAIN_MODULES = "abc array collections datetime decimal enum fractions ipaddress numbers random re string zoneinfo"
_PLAIN = frozenset(_PLAIN_MODULES.split())
#: Modules outside the standard library, and of Python 2, that run code, reach the system, or load further code.
_DANGEROUS = """
__builtin__ __main__ commands popen2 cPickle httplib urllib2 imp distutils asyncore asynchat smtpd lib2to3 dill
cloudpickle pip setuptools pkg_resources ensurepip _distutils_hack code test urllib3 requests aiohttp httpx paramiko
fabric invoke pexpect plumbum sh psutil docker boto3 fsspec dask ray IPython ipykernel jupyter nbconvert jinja2 mako
numexpr sympy numba cffi pycparser ptpython execnet rpyc twisted tornado django flask celery joblib torch.hub
torch.serialization torch.jit torch._inductor torch._dynamo torch.utils torch.distributed torch.multiprocessing
torch.package torch.fx torch.ops torch._ops torch._classes torch.classes torch.library torch.onnx torch.testing
numpy.testing numpy.f2py numpy.distutils numpy.lib numpy.ctypeslib numpy.memmap numpy.compat pandas.io
pandas.core.computation sklearn.externals sklearn.datasets tensorflow keras huggingface_hub mlflow transformers.utils
transformers.dynamic_module_utils transformers.pipelines transformers.commands transformers.testing_utils
modelscope pytest _pytest nose py nltk.data nltk.internals cProfile antigravity this sitecustomize usercustomize
_osx_support _aix_support _pyrepl
"""
_DANGEROUS_MODULES = frozenset(_DANGEROUS.split()) | (frozenset(sys.stdlib_module_names) - _PLAIN)
#: Names that load, run, or reach elsewhere in whatever module they stand.
_NAMES = """
load loads load_from_bytes _load_from_bytes loadtxt genfromtxt fromfile tofile save savez savetxt memmap open
fdopen read_pickle to_pickle unpickle eval exec execfile execute compile query system popen Popen spawn fork call
check_call check_output run runstring runcode runsource run_code run_module run_path shell import_module
__import__ import_string resolve_name locate getattr setattr delattr attrgetter itemgetter methodcaller partial
apply globals locals vars input breakpoint load_library load_module load_source from_pretrained hub_download
snapshot_download urlopen urlretrieve download CDLL main
"""
_DANGEROUS_NAMES = frozenset(_NAMES.split())


def classify(found: Import) -> Kind:
    """Return what a global is; one whose name is computed while loading is dangerous.

    Unpicklers rename the globals of Python 2 (`_compat_pickle`), so both names are judged and the worse one counts.
    """
    renamed = _compat_pickle.NAME_MAPPING.get((found.module, found.name))
    if renamed is None:
        renamed = (_compat_pickle.IMPORT_MAPPING.get(found.module, found.module), found.name)
    kinds = {_classify(found.module, found.name), _classify(*renamed)}
    return "dangerous" if "dangerous" in kinds else "unknown" if "unknown" in kinds else "harmless"


def _classify(module: str, name: str) -> Kind:
    if not module:
        return "dangerous"
    if (module, name) in HARMLESS:
        return "harmless"
    parts = module.split(".")
    prefixes = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    hidden = name.startswith("__") and not name.startswith("__pyx_unpickle_")  # Cython's classes are rebuilt by those.
    if prefixes & _DANGEROUS_MODULES or name in _DANGEROUS_NAMES or "." in name or hidden:
        return "dangerous"
    # A module that another one imported, such as `random._os`.
    return "dangerous" if name.lstrip("_") in sys.stdlib_module_names - _PLAIN else "unknown"


def fingerprint() -> str:
    """Return a digest of the lists, those of the running Python among them; another one means: scan again."""
    lists = repr((sorted(HARMLESS), sorted(_DANGEROUS_MODULES), sorted(_DANGEROUS_NAMES), sorted(_PLAIN)))
    return hashlib.sha256(lists.encode()).hexdigest()[:16]
