"""What a pickle may do with listed globals: each harmful use of a harmless name is a fault."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.pickles import assembled as a
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.judgement import Judgement, judge

OPTIMISERS = ("transformers.training_args", "OptimizerNames")
SEQUENTIAL = ("torch.nn.modules.container", "Sequential")
TENSOR = a.called("torch._utils", "_rebuild_tensor_v2", b"N", a.number(0), a.several(a.number(1)))
#: torch.load with weights_only=False, on whatever bytes it is given.
LOADS = a.named("torch.storage", "_load_from_bytes")


def judged(content: bytes) -> Judgement:
    return judge(machine.walk(io.BytesIO(content), len(content)))


HARMFUL = {
    "getattr of a module's class": a.called(
        "builtins", "getattr", a.named("collections", "OrderedDict"), a.text("clear")
    ),
    "getattr of a hidden name": a.called("builtins", "getattr", a.named(*OPTIMISERS), a.text("__init__")),
    "getattr of a method": a.called("builtins", "getattr", a.named(*OPTIMISERS), a.text("mro")),
    "getattr of an instance": a.called("builtins", "getattr", a.rebuilt(*SEQUENTIAL), a.text("forward")),
    "getattr of a computed name": a.called(
        "builtins", "getattr", a.named(*OPTIMISERS), a.called("builtins", "str", a.text("__init__"))
    ),
    "getattr with three arguments": a.called(
        "builtins", "getattr", a.named(*OPTIMISERS), a.text("X"), a.named("collections", "OrderedDict")
    ),
    "a kept getattr": a.pairs(forward=a.named("builtins", "getattr")),
    "a getattr that is fetched": a.named("builtins", "getattr") + b"q\x000h\x00",
    "a result that is called": a.called("builtins", "type", b"N") + b")R",
    "a member that is called": a.called("builtins", "getattr", a.named(*OPTIMISERS), a.text("ADAMW_TORCH")) + b")R",
    "a type hint that is called": a.called("typing", "Any", a.text("x")),
    "a number type that is called": a.called("torch", "float32"),
    "an instance of a function": a.named("torch._utils", "_rebuild_tensor_v2") + b")\x81",
    "a constructor with arguments": a.called("transformers.training_args", "TrainingArguments", a.text("/etc")),
    "new with arguments": a.named(*SEQUENTIAL) + a.several(a.text("x")) + b"\x81",
    "new with keywords": b"\x80\x04" + a.named(*SEQUENTIAL) + b")" + a.pairs(a=a.text("x")) + b"\x92",
    "instance of old": b"(" + a.text("x") + b"i" + a.named(*SEQUENTIAL)[1:],
    "object of old": b"(" + a.named(*SEQUENTIAL) + a.text("x") + b"o",
    "a global is filled": a.named("numpy", "prod") + b"N" + a.pairs(a=a.text("os")) + b"\x86b",
    "a class is filled": a.named(*SEQUENTIAL) + a.pairs(forward=a.named("builtins", "len")) + b"b",
    "an enum's member is filled": a.called(*OPTIMISERS, a.text("adamw_torch")) + a.pairs(_value_=a.text("x")) + b"b",
    "an instance with another setstate": a.rebuilt(*SEQUENTIAL, __setstate__=a.named("builtins", "len"))
    + a.text("x")
    + b"b",
    "an instance with a module for setstate": a.rebuilt(*SEQUENTIAL, __setstate__=a.rebuilt(*SEQUENTIAL)),
    "an instance with another extend": a.rebuilt(*SEQUENTIAL, extend=a.named("builtins", "dict"))
    + b"("
    + a.text("x")
    + b"e",
    "a state with computed keys": a.named(*SEQUENTIAL)
    + b")\x81"
    + a.called(
        "collections", "OrderedDict", b"](" + a.several(a.text("__setstate__"), a.named("builtins", "len")) + b"e"
    )
    + b"b",
    "a key that is made": b"}"
    + a.called("builtins", "str", a.text("__setstate__"))
    + a.named("builtins", "len")
    + b"s",
    "items for a tensor": TENSOR + a.number(0) + a.number(1) + b"s",
    "items for a global": a.named("collections", "OrderedDict") + a.text("x") + a.number(1) + b"s",
    "an item for a module": a.rebuilt(*SEQUENTIAL) + a.rebuilt(*SEQUENTIAL) + b"a",
    "reconstructor of no class": a.called(
        "copyreg", "_reconstructor", a.named("builtins", "getattr"), a.named("builtins", "object"), b"N"
    ),
    "reconstructor from a library's class": a.called(
        "copyreg", "_reconstructor", a.named(*SEQUENTIAL), a.named(*SEQUENTIAL), a.text("x")
    ),
    "a codec that is none of bytes": a.called("_codecs", "encode", a.text("x"), a.text("zlib")),
    "a factory that is no class": a.called("collections", "defaultdict", a.named("torch._utils", "_rebuild_tensor")),
    "a subclass by another function": a.called(
        *("torch._tensor", "_rebuild_from_type_v2"),
        a.named("builtins", "getattr"),
        a.named("torch", "Tensor"),
        a.several(a.named(*OPTIMISERS), a.text("__init__")),
        b"N",
    ),
    "a tensor of a module": a.called("torch._utils", "_rebuild_parameter", a.rebuilt(*SEQUENTIAL), b"\x88"),
    "reduce with another function": a.called(
        "functools", "reduce", a.named("builtins", "len"), a.several(a.named("builtins", "int"))
    ),
    "a type hint of another module": a.called("operator", "getitem", a.rebuilt(*SEQUENTIAL), a.number(0)),
    "bytes to load that are made": a.called(
        "torch.storage", "_load_from_bytes", a.called("_codecs", "encode", a.text("x"), a.text("latin1"))
    ),
    "a loader that is kept": a.rebuilt(*SEQUENTIAL, forward=LOADS),
    "a persistent id of torch.package": a.several(
        a.text("reduce_package"), a.named("builtins", "len"), a.several(a.text("x"))
    )
    + b"Q",
    "an array of another class": a.called(
        "numpy.core.multiarray", "_reconstruct", a.named("numpy", "memmap"), a.several(a.number(0)), a.text("b")
    ),
    "an index of another class": a.called("pandas.core.indexes.base", "_new_Index", a.named("builtins", "open"), b"}"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_use_of_a_listed_name_is_refused(name: str) -> None:
    assert not judged(a.whole(HARMFUL[name])).harmless


HARMLESS = {
    "member by name": a.called("builtins", "getattr", a.named(*OPTIMISERS), a.text("ADAMW_TORCH")),
    "member by value": a.called(*OPTIMISERS, a.text("adamw_torch")),
    "a class that is looked up": a.pairs(default_act=a.named("torch.nn.modules.activation", "SiLU")),
    "a tensor with attributes": a.called(
        *("torch._tensor", "_rebuild_from_type_v2"),
        a.named("torch._utils", "_rebuild_tensor_v2"),
        a.named("torch", "Tensor"),
        a.several(b"N", a.number(0), a.several(a.number(1)), a.several(a.number(1)), b"\x89"),
        a.pairs(tag=a.text("x")),
    ),
    "a storage": a.several(a.text("storage"), a.named("torch", "FloatStorage"), a.text("0"), a.text("cpu"), a.number(1))
    + b"Q",
    "instance of old": b"(i" + a.named("argparse", "Namespace")[1:] + a.pairs(lr=a.number(1)) + b"b",
    "words that are methods": a.pairs(append=a.number(1), add=a.number(2), __setstate__=a.number(3)),
    "a dictionary with attributes": a.called("collections", "OrderedDict") + a.pairs(_metadata=b"}") + b"b",
    "types as keys": b"}" + a.named(*SEQUENTIAL) + a.named("torch", "qint8") + b"s",
    "a quantiser": a.called(
        "torch._utils",
        "_rebuild_qtensor",
        b"N",
        a.number(0),
        a.several(a.named("torch", "per_tensor_affine"), a.number(1), a.number(0)),
        b"\x89",
        a.called("collections", "OrderedDict"),
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_use_passes(name: str) -> None:
    said = judged(a.whole(HARMLESS[name]))
    assert said.harmless, said


def test_bytes_that_torch_loads_are_named_with_their_place() -> None:
    raw = b"\x80\x02}." * 30
    content = a.whole(LOADS + a.several(b"B" + struct.pack("<I", len(raw)) + raw) + b"R")
    (found,) = machine.walk(io.BytesIO(content), len(content)).files
    assert content[found.start : found.start + found.size] == raw


def test_a_flood_of_faults_is_bounded() -> None:
    flood = b"".join(a.called("torch.nn.modules.conv", f"Conv{number}", a.text("x")) + b"0" for number in range(5000))
    assert len(machine.walk(io.BytesIO(flood), len(flood)).faults) == 1000


#: Values as frameworks write them.
PLAIN = st.one_of(
    st.integers(-1000, 1000).map(a.number),
    st.text("ab_", max_size=5).map(a.text),
    st.just(TENSOR),
    st.just(a.named("torch", "float32")),
    st.just(a.named("typing", "Any")),
    st.sampled_from(sorted(HARMLESS)).map(HARMLESS.__getitem__),
)
ALLOWED = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=3).map(lambda found: a.pairs(**found)),
        st.lists(inner, max_size=3).map(lambda found: a.several(*found)),
        st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=3).map(
            lambda found: a.rebuilt(*SEQUENTIAL, **found)
        ),
        inner.map(lambda found: a.called("collections", "OrderedDict") + a.text("k") + found + b"s"),
    ),
    max_leaves=8,
)
MARK = a.text("the place of a foreign value")
FOREIGN = {
    "unknown": a.named("company.layers", "Layer"),
    "called": a.called("company.layers", "build", a.text("x")),
    "known to harm": a.called("os", "system", a.text("id")),
    "a wrong use": a.called("builtins", "getattr", a.named("collections", "deque"), a.text("clear")),
}


@settings(max_examples=150, deadline=None)
@given(value=ALLOWED)
def test_allowed_values_stay_allowed_however_they_are_put_together(value: bytes) -> None:
    said = judged(a.whole(value))
    assert said.harmless, said


@settings(max_examples=150, deadline=None)
@given(values=st.lists(ALLOWED, max_size=3), foreign=st.sampled_from(sorted(FOREIGN)), depth=st.integers(0, 4))
def test_one_foreign_value_anywhere_rejects(values: list[bytes], foreign: str, depth: int) -> None:
    content = a.several(*values, FOREIGN[foreign])
    for level in range(depth):
        content = a.rebuilt(*SEQUENTIAL, held=content) if level % 2 else a.pairs(held=content)
    assert not judged(a.whole(content)).harmless
