"""The classification of a pickle's globals: on the closed list of harmless ones, known as harmful, or unknown.

The standard library is harmful as a whole but for what is listed: scanners that list its dangerous functions one by one
were bypassed again and again. Not here: whether a listed global is used as the list allows (uses).
"""

from __future__ import annotations

import _compat_pickle
import hashlib
from functools import cache, lru_cache
from typing import Literal

from weighbridge.content.pickles.allowed import ENTRIES, FAMILIES
from weighbridge.content.pickles.allowed.entry import Entry
from weighbridge.content.pickles.standard_library import MODULES
from weighbridge.content.pickles.symbols import Import

Kind = Literal["harmless", "unknown", "dangerous"]

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
_DANGEROUS_MODULES = frozenset(_DANGEROUS.split()) | (MODULES - _PLAIN)
#: Names that load, run, or reach elsewhere, in any module.
_NAMES = """
load loads load_from_bytes _load_from_bytes loadtxt genfromtxt fromfile tofile save savez savetxt memmap open
fdopen read_pickle to_pickle unpickle eval exec execfile execute compile query system popen Popen spawn fork call
check_call check_output run runstring runcode runsource run_code run_module run_path shell import_module
__import__ import_string resolve_name locate getattr setattr delattr attrgetter itemgetter methodcaller partial
apply globals locals vars input breakpoint load_library load_module load_source from_pretrained hub_download
snapshot_download urlopen urlretrieve download CDLL main
"""
_DANGEROUS_NAMES = frozenset(_NAMES.split())


@lru_cache(maxsize=65536)
def allowed(found: Import) -> Entry | None:
    """Return the list's entry of a global, or None when it is not listed.

    Unpicklers rename the globals of Python 2 (`_compat_pickle`); those are on the list under their new names.
    """
    module, name = _renamed(found)
    if (module, name) in ENTRIES:
        return ENTRIES[module, name]
    return next((family.entry for family in FAMILIES if family.holds(module, name)), None)


def classify(found: Import) -> Kind:
    """Return the classification of a global by its name alone.

    One whose name is computed while loading is dangerous, and so may be a listed one whose arguments matter.
    """
    if found.module and (entry := allowed(found)) and not entry.in_sight:
        return "harmless"
    kinds = {_classify(found.module, found.name), _classify(*_renamed(found))}
    return "dangerous" if "dangerous" in kinds else "unknown"


def _renamed(found: Import) -> tuple[str, str]:
    key = (found.module, found.name)
    return _compat_pickle.NAME_MAPPING.get(
        key, (_compat_pickle.IMPORT_MAPPING.get(found.module, found.module), found.name)
    )


def _classify(module: str, name: str) -> Kind:
    if not module:
        return "dangerous"
    parts = module.split(".")
    prefixes = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    hidden = name.startswith("__") and not name.startswith("__pyx_unpickle_")  # Cython's classes are rebuilt by those.
    if prefixes & _DANGEROUS_MODULES or name in _DANGEROUS_NAMES or "." in name or hidden:
        return "dangerous"
    # A module that another one imported, such as `random._os`.
    return "dangerous" if name.lstrip("_") in MODULES - _PLAIN else "unknown"


@cache
def fingerprint() -> str:
    """Return a digest of the lists; another one means: scan again."""
    lists = (sorted(ENTRIES.items()), FAMILIES, sorted(_DANGEROUS_MODULES), sorted(_DANGEROUS_NAMES), sorted(_PLAIN))
    return hashlib.sha256(repr(lists).encode()).hexdigest()[:16]
