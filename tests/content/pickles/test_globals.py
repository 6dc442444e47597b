"""What names alone say, whichever Python looks."""

import sys

import pytest

from weighbridge.content.pickles.globals import classify, fingerprint
from weighbridge.content.pickles.standard_library import MODULES
from weighbridge.content.pickles.symbols import Import


def test_the_standard_library_is_more_than_that_of_this_python() -> None:
    assert set(sys.stdlib_module_names) <= MODULES
    assert not [name for name in MODULES if not name.isidentifier()]


OTHER_PYTHONS = """
_interpreters _interpchannels _pyrepl.unix_console annotationlib compression.zstd string.templatelib asyncore imp
distutils.util parser formatter msilib _xxsubinterpreters profiling _zstd
"""


@pytest.mark.parametrize("module", OTHER_PYTHONS.split())
def test_modules_of_other_pythons_harm_too(module: str) -> None:
    # What is below a module of plain values is unknown, which rejects too.
    expected = "unknown" if module == "string.templatelib" else "dangerous"
    assert classify(Import(module, "run_string")) == expected


def test_a_name_whose_arguments_matter_is_not_harmless_alone() -> None:
    assert classify(Import("builtins", "getattr")) == "dangerous"
    assert classify(Import("torch.storage", "_load_from_bytes")) == "dangerous"
    assert classify(Import("collections", "OrderedDict")) == "harmless"


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 16
