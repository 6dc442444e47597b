"""Dotted names in configurations that a reader imports and calls: `nemo.collections.asr.models.EncDecCTCModel`.

A closed list, as for globals of pickles: a name counts as known when it is a class below a package that defines models,
layers, losses or their settings, which is what NVIDIA's and fairchem's own guards admit too. Lists of forbidden names
were bypassed by every alias (`logging.os.system`, GHSA-37p2-j732-x8pj), so that what is not on the list is foreign.
Functions are foreign even in known packages: they get arguments from the publisher, and packages of this size hold
functions that download, unpickle or install. Not here: keys that name them (loader_keys), pickles (pickles.globals).
"""

from __future__ import annotations

from typing import Literal

from weighbridge.content.pickles.globals import classify
from weighbridge.content.pickles.symbols import Import

#: What a name is: a class of a known package; a method of one that fetches a model; of nobody we know; one that
#: harms; none that a reader could import.
Standing = Literal["known", "fetching", "foreign", "dangerous", "unreadable"]

_KNOWN_PACKAGES_LIST = """
anomalib audiocraft chronos cldm cosyvoice dac descript_audiotools detectron2.modeling diffusers encodec espnet2
f5_tts fairchem flash_attn gluonts haystack haystack_integrations kornia ktransformers ldm lightgbm lightning.pytorch
mamba_ssm matcha megatron.bridge megatron.core mlserver mlserver_catboost mlserver_huggingface mlserver_lightgbm
mlserver_mlflow mlserver_sklearn mlserver_xgboost mmdet mmpretrain mmseg model2vec monai moshi nemo.collections
nemo.core omegaconf open_clip optimum peft pyannote.audio pylate pytorch_forecasting pytorch_lightning relik sam2 sam3
sentence_transformers setfit sgm sklearn span_marker speechbrain stable_audio_tools taming timm tokenizers
torch.distributions torch.nn torch.optim torchaudio.models torchaudio.transforms torchmetrics torchtune
torchvision.models torchvision.ops torchvision.transforms transformers tsfm_public uni2ts vocos xgboost
"""
#: Packages, or parts of them, whose classes are models, layers, losses, optimisers, tokenizers, or their settings.
KNOWN_PACKAGES = frozenset(_KNOWN_PACKAGES_LIST.split())
_KNOWN_FUNCTIONS_LIST = """
lightning.pytorch.cli.instantiate_module numpy.array pandas.Period pandas.Timestamp
pandas.tseries.frequencies.to_offset pytorch_lightning.cli.instantiate_module scipy.sparse._csc.csc_matrix
scipy.sparse._csr.csr_matrix torch.Generator torch.Size torch.Tensor torch.device torch.manual_seed
"""
#: Functions that configurations call and that only compute or set a seed.
_KNOWN_FUNCTIONS = frozenset(_KNOWN_FUNCTIONS_LIST.split())
#: Packages whose functions fill tensors, or build models, layers and datasets, which torchtune has functions for.
_KNOWN_FUNCTION_PACKAGES = (
    *("torch.nn.init.", "torch.nn.functional.", "torchvision.models."),
    *("torchtune.models.", "torchtune.modules.", "torchtune.datasets."),
)
_REACHED_THROUGH_LIST = """
builtins concurrent ctypes ftplib imp importlib marshal multiprocessing nt os pickle pkgutil posix pty requests runpy
shelve shutil smtplib socket subprocess sys tarfile tempfile urllib webbrowser zipfile zipimport
"""
#: Modules of Python's that packages import, so that they can be reached through them: `nemo.core.subprocess.Popen`.
_REACHED_THROUGH = frozenset(_REACHED_THROUGH_LIST.split())


def is_dotted(text: str) -> bool:
    """Return whether a text is a dotted name with at least two parts, as readers import them."""
    return "." in text and len(text) <= 300 and all(part.isidentifier() for part in text.split("."))


def package_of(name: str) -> str:
    """Return the known package that a dotted name is in, or an empty text."""
    parts = name.split(".")
    for length in (1, 2):
        package = ".".join(parts[:length])
        if package in KNOWN_PACKAGES and len(parts) > length:
            return package
    return ""


def standing_of(name: str) -> Standing:
    """Return what a dotted name is, as one text: `package.module.Class` or `package.module.Class.method`."""
    if not is_dotted(name):
        return "unreadable"
    module, _, last = name.rpartition(".")
    if name in _KNOWN_FUNCTIONS:
        return "known"
    if not package_of(name):
        kind = classify(Import(module, last))
        return {"harmless": "known", "unknown": "foreign", "dangerous": "dangerous"}[kind]  # type: ignore[return-value]
    if _REACHED_THROUGH & set(name.split(".")):
        return "dangerous"
    if name.startswith(_KNOWN_FUNCTION_PACKAGES):
        return "known"
    if last == "from_pretrained" and _is_class(module.rpartition(".")[2]):
        return "fetching"
    return "known" if _is_class(last) else "foreign"


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()
