"""Bypasses of other scanners, from their public bug reports: what was let in there is refused here by our own list."""

import io

import pytest

from tests.content.pickles import assembled as a
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.judgement import judge

CODE = a.text("1")


def getattr_of(value: bytes, name: str) -> bytes:
    return a.called("builtins", "getattr", value, a.text(name))


BYPASSES = {
    # github.com/protectai/modelscan/issues/89: builtins through a module that is trusted.
    "builtins of numpy": a.called("builtins", "dict.get", a.named("numpy", "__builtins__"), a.text("exec"))
    + a.several(CODE)
    + b"R",
    "modules put into a function": a.named("numpy", "prod")
    + b"N"
    + a.named("numpy", "core._internal.sys.modules")
    + b"\x86b0"
    + a.called("numpy", "prod.os.system", CODE),
    # github.com/protectai/modelscan/issues/330: a function of numpy whose attribute is replaced.
    "an attribute of numpy.size": a.named("numpy", "size")
    + b"q\x00}}"
    + a.text("shape")
    + a.named("numpy", "__builtins__")
    + b"s\x86bh\x00"
    + a.several(b"h\x00", a.text("eval"))
    + b"R",
    # github.com/protectai/modelscan/issues/331: names that are joined while loading.
    "joined names": getattr_of(a.called("importlib", "import_module", a.text("builtins")), "str"),
    # github.com/mmaitre314/picklescan/issues/66.
    "import_module": a.called("importlib", "import_module", a.text("os")),
    "attrgetter": a.called("operator", "attrgetter", a.text("system")) + a.several(a.named("os", "path")) + b"R",
    "find_spec": a.called("importlib.util", "find_spec", a.text("os")),
    # github.com/trailofbits/fickling/pull/108: OBJ leaves no variable unused.
    "pty by OBJ": b"(" + a.named("pty", "spawn") + CODE + b"o",
    # github.com/trailofbits/fickling/pull/302: subinterpreters, through BUILD so that every result is used.
    "subinterpreters": a.rebuilt(
        "collections", "UserDict", __setstate__=a.called("_interpreters", "run_string", b"K\x00", CODE)
    ),
    # github.com/trailofbits/fickling/pull/249: the scanner itself is switched off.
    "the scanner": a.called("fickling.hook", "deactivate_safe_ml_environment"),
    "ourselves": a.called("weighbridge.content.pickles.globals", "allowed", CODE),
    # github.com/protectai/modelscan/pull/346.
    "mailcap": a.called("mailcap", "findmatch", b"}", a.text("text/plain")),
    # github.com/promptfoo/modelaudit/pull/1059.
    "argparse.FileType": a.called("argparse", "FileType", a.text("w")),
    "codecs.open": a.called("codecs", "open", a.text("x"), a.text("w")),
    "RawConfigParser.read": a.called("configparser", "RawConfigParser.read", b"N", a.text("x")),
    # github.com/promptfoo/modelaudit/pull/1061: callbacks of harmless containers.
    "map": a.called("builtins", "map", a.named("os", "system"), a.several(CODE)),
    "a list of a map": a.called("builtins", "list", a.called("builtins", "map", a.named("builtins", "len"), b"]")),
    "a factory": a.called("collections", "defaultdict", a.named("builtins", "breakpoint")),
    "a partial": a.called("functools", "partial", a.named("builtins", "len")),
    "a key": a.called("itertools", "groupby", b"]", a.named("builtins", "len")),
    "a finaliser": a.called("weakref", "finalize", a.rebuilt("argparse", "Namespace"), a.named("builtins", "len")),
    "a future": a.rebuilt("concurrent.futures._base", "Future", _done_callbacks=a.named("builtins", "len")),
    # github.com/google/saferpickle/pull/2, github.com/ultralytics/ultralytics (arxiv.org/abs/2508.19774).
    "shutil": a.called("shutil", "copy", a.text("a"), a.text("b")),
    "pip by ultralytics": a.called("ultralytics.utils.checks", "check_requirements", CODE),
    # Read in scipy/stats/_distn_infrastructure.py: `__setstate__` runs exec on a text of the state.
    "a distribution": a.rebuilt("scipy.stats._continuous_distns", "norm_gen", _parse_arg_template=CODE),
    # Read in joblib/numpy_pickle_compat.py and transformers' slow tokenizers: a file beside, at a path of the state.
    "an array beside": a.rebuilt("joblib.numpy_pickle_compat", "NDArrayWrapper", filename=a.text("../x.npy")),
    "a vocabulary": a.rebuilt("transformers.models.xlm.tokenization_xlm", "XLMTokenizer", vocab_file=a.text("/x")),
}


@pytest.mark.parametrize("name", BYPASSES)
def test_what_others_let_in_is_refused(name: str) -> None:
    content = a.whole(BYPASSES[name])
    walked = machine.walk(io.BytesIO(content), len(content))
    assert not judge(walked).harmless
