from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.content.headers.samples import external, onnx_model, rules, write
from weighbridge.content.headers.onnx import OnnxHeader, read, walk
from weighbridge.content.headers.protobuf import encode

BIG = numpy_helper.from_array(numpy.ones((100, 100), numpy.float32), "w")
SMALL = numpy_helper.from_array(numpy.ones(8, numpy.float16), "b")


def look(tmp_path: Path, content: bytes) -> OnnxHeader:
    return walk(write(tmp_path, content))


def test_weights_are_counted_and_not_read(tmp_path: Path) -> None:
    content = onnx_model([BIG, SMALL], producer_name="here").SerializeToString()
    header = look(tmp_path, content)
    assert header.findings == ()
    assert header.parameters == {"FLOAT": 10_000, "FLOAT16": 8}
    assert (header.producer, header.opsets) == ("here", {"": 20})
    assert header.bytes_read <= len(content) - 40_000


def test_weights_in_subgraphs_count_too(tmp_path: Path) -> None:
    inner = onnx_model([BIG]).graph
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    assert look(tmp_path, onnx_model([SMALL], [node]).SerializeToString()).parameters["FLOAT"] == 20_000


def test_packed_weights_are_unpacked_by_their_operator(tmp_path: Path) -> None:
    node = helper.make_node("MatMulNBits", ["x", "q"], ["y"], domain="com.microsoft", K=64, N=32, bits=4)
    packed = numpy_helper.from_array(numpy.ones((32, 2, 16), numpy.uint8), "q")
    header = look(tmp_path, onnx_model([packed], [node]).SerializeToString())
    assert header.parameters == {"INT4": 2048}
    assert rules(header.findings) == ["onnx.runtime-ops"]


def test_external_data_inside_of_the_model_is_named(tmp_path: Path) -> None:
    header = look(tmp_path, onnx_model([external("./data/w.bin", offset="0", length="12")]).SerializeToString())
    assert header.findings == ()
    assert header.external == ["data/w.bin"]


@pytest.mark.parametrize(
    "location", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\w.bin", "w\0.bin", "", "x\n"]
)
def test_external_data_outside_of_the_model_is_an_error(tmp_path: Path, location: str) -> None:
    header = look(tmp_path, onnx_model([external(location)]).SerializeToString())
    assert rules(header.findings) == ["onnx.external-path"]
    assert header.external == []


def test_external_data_of_attributes_is_held_to_the_same(tmp_path: Path) -> None:
    node = helper.make_node("Constant", [], ["y"], value=external("../x"))
    assert rules(look(tmp_path, onnx_model([], [node]).SerializeToString()).findings) == ["onnx.external-path"]


@pytest.mark.parametrize(("key", "value"), [("offset", "-1"), ("length", "x"), ("length", "9" * 30)])
def test_external_data_needs_numbers(tmp_path: Path, key: str, value: str) -> None:
    header = look(tmp_path, onnx_model([external("w.bin", **{key: value})]).SerializeToString())
    assert rules(header.findings) == ["onnx.external-data"]


@pytest.mark.parametrize("tensor", [BIG, SMALL], ids=["long", "short"])
def test_a_shape_that_its_data_do_not_fill_is_an_error(tmp_path: Path, tensor: TensorProto) -> None:
    wrong = TensorProto()
    wrong.CopyFrom(tensor)
    wrong.dims[0] += 1
    assert rules(look(tmp_path, onnx_model([wrong]).SerializeToString()).findings) == ["onnx.tensor-size"]


def test_negative_shapes_and_unknown_types_are_errors(tmp_path: Path) -> None:
    negative = TensorProto(name="n", data_type=TensorProto.FLOAT, dims=[-1, -4], raw_data=bytes(16))
    unknown = TensorProto(name="u", data_type=999, dims=[1], raw_data=bytes(4))
    found = look(tmp_path, onnx_model([negative, unknown]).SerializeToString())
    assert rules(found.findings) == ["onnx.shape", "onnx.type"]
    assert found.parameters == {}


def test_operators_of_a_foreign_library_are_a_warning_and_own_functions_are_not(tmp_path: Path) -> None:
    node = helper.make_node("Run", ["x"], ["y"], domain="corp.evil")
    model = onnx_model([], [node])
    assert rules(look(tmp_path, model.SerializeToString()).findings) == ["onnx.custom-ops"]
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("corp.evil", "Run", ["a"], ["b"], body, [helper.make_opsetid("", 20)]))
    assert look(tmp_path, model.SerializeToString()).findings == ()


def test_what_hides_in_fields_that_onnx_does_not_know_is_found(tmp_path: Path) -> None:
    content = onnx_model([SMALL]).SerializeToString() + b"\xa2\x06\x90\x4e" + bytes(10_000)
    assert rules(look(tmp_path, content).findings) == ["onnx.unknown-field"]


def test_a_blob_in_an_attribute_is_found(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["x"], ["y"], blob=bytes(2 * 1024 * 1024))
    assert rules(look(tmp_path, onnx_model([], [node]).SerializeToString()).findings) == ["onnx.embedded"]


def _nested(levels: int, padding: bytes) -> bytes:
    """Return a model whose graph holds a node, whose attribute holds a graph, and so on."""
    content = padding
    for _ in range(levels):
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            content = tag + encode(len(content)) + content
    return b"\x3a" + encode(len(content)) + content


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a" * 5000,
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"hello",
        b"\x08\x0a",
        bytes(100),
        _nested(40, b""),
        _nested(40, b"\x52\xd0\x0f" + b"x" * 2000),
    ],
    ids=["open", "long", "text", "no graph", "zeros", "nested", "nested and long"],
)
def test_what_is_no_model_is_invalid(tmp_path: Path, content: bytes) -> None:
    header = look(tmp_path, content)
    assert "onnx.invalid" in rules(header.findings)
    assert header.bytes_read <= len(content)


def test_the_child_answers_what_the_walk_says(tmp_path: Path) -> None:
    path = write(tmp_path, onnx_model([BIG, external("../x")]).SerializeToString())
    assert read(path) == walk(path)


def test_texts_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    content = onnx_model([SMALL, external("w.bin")]).SerializeToString()
    assert content.count(b"w.bin") == 1
    header = look(tmp_path, content.replace(b"w.bin", b"\x80.bin"))
    assert "onnx.external-path" in rules(header.findings)
    assert header.external == []


OUTSIDE = external("../x")


def _sparse(values: TensorProto, indices: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[4])


@pytest.mark.parametrize(
    "attribute",
    [
        helper.make_attribute("a", OUTSIDE),
        helper.make_attribute("a", [SMALL, OUTSIDE]),
        helper.make_attribute("a", _sparse(OUTSIDE, SMALL)),
        helper.make_attribute("a", _sparse(SMALL, OUTSIDE)),
        helper.make_attribute("a", [_sparse(SMALL, SMALL), _sparse(SMALL, OUTSIDE)]),
        helper.make_attribute("a", onnx_model([OUTSIDE]).graph),
        helper.make_attribute("a", [onnx_model([SMALL]).graph, onnx_model([OUTSIDE]).graph]),
    ],
    ids=["tensor", "tensors", "values", "indices", "sparse tensors", "graph", "graphs"],
)
def test_external_data_is_found_in_every_attribute(tmp_path: Path, attribute: onnx.AttributeProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    node.attribute.append(attribute)
    inner = helper.make_node("If", ["c"], ["y"], then_branch=onnx_model([], [node]).graph)
    in_function, as_default, in_training = onnx_model([]), onnx_model([]), onnx_model([])
    in_function.functions.append(helper.make_function("d", "F", [], [], [node], []))
    as_default.functions.append(helper.make_function("d", "F", [], [], [], [], attribute_protos=[attribute]))
    in_training.training_info.add().algorithm.CopyFrom(onnx_model([], [node]).graph)
    for model in (onnx_model([], [node]), onnx_model([], [inner]), in_function, as_default, in_training):
        assert "onnx.external-path" in rules(look(tmp_path, model.SerializeToString()).findings)


def test_external_data_of_sparse_initializers_is_found(tmp_path: Path) -> None:
    for sparse in (_sparse(OUTSIDE, SMALL), _sparse(SMALL, OUTSIDE)):
        model = onnx_model([])
        model.graph.sparse_initializer.append(sparse)
        assert rules(look(tmp_path, model.SerializeToString()).findings) == ["onnx.external-path"]


@pytest.mark.parametrize("key", ["__class__", "__dict__", "raw_data", "name", "prepack"])
def test_keys_of_external_data_that_no_format_knows_are_errors(tmp_path: Path, key: str) -> None:
    header = look(tmp_path, onnx_model([external("w.bin", **{key: "x"})]).SerializeToString())
    assert rules(header.findings) == ["onnx.external-data"]


def test_keys_that_readers_know_are_fine_and_a_base_path_outside_is_not(tmp_path: Path) -> None:
    known = external("w.bin", offset="0", length="12", checksum="ab", prepacked_0="x|1;2;3")
    assert look(tmp_path, onnx_model([known]).SerializeToString()).findings == ()
    header = look(tmp_path, onnx_model([external("w.bin", basepath="/etc")]).SerializeToString())
    assert rules(header.findings) == ["onnx.external-path"]


@pytest.mark.parametrize(
    ("domain", "name", "attributes", "rule", "level"),
    [
        ("com.microsoft", "PythonOp", {"func_name": "x"}, "onnx.harmful-operator", "error"),
        ("ai.onnx.contrib", "PyOp", {}, "onnx.harmful-operator", "error"),
        ("com.microsoft.extensions", "AzureTextToText", {"model_uri": "http://x"}, "onnx.harmful-operator", "error"),
        ("com.microsoft", "EPContext", {"embed_mode": 0, "ep_cache_context": "../../x"}, "onnx.external-path", "error"),
        ("com.microsoft", "EPContext", {"embed_mode": 0, "ep_cache_context": "/x"}, "onnx.external-path", "error"),
        ("com.microsoft", "EPContext", {"embed_mode": 0, "ep_cache_context": "x.bin"}, "onnx.compiled", "warning"),
        ("com.microsoft", "EPContext", {"ep_cache_context": "/\x7fELF"}, "onnx.compiled", "warning"),
        ("com.microsoft", "Attention", {}, "onnx.runtime-ops", "note"),
        ("ai.onnx.contrib", "SentencepieceTokenizer", {}, "onnx.runtime-ops", "note"),
        ("acme", "Thing", {}, "onnx.custom-ops", "warning"),
    ],
)
def test_operators_are_judged_by_their_names(
    tmp_path: Path, domain: str, name: str, attributes: dict[str, Any], rule: str, level: str
) -> None:
    model = onnx_model([], [helper.make_node(name, ["x"], ["y"], domain=domain, **attributes)])
    # A function of the same domain stands for no other operator of it.
    model.functions.append(helper.make_function(domain, "Other", [], [], [], []))
    found = look(tmp_path, model.SerializeToString()).findings
    assert [(finding.rule, finding.level) for finding in found] == [(rule, level)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_file_never_raises(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(onnx_model([SMALL, external("w.bin")]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    look(tmp_path, bytes(content))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"_target_": "os.system"}', ["config.dangerous-target"]),
        ("gAJjb3MKc3lzdGVtClgCAAAAaWSFUi4=", ["pickle.embedded"]),
        ("{0: 'person', 1: 'car'}", []),
        ("a model of ours", []),
    ],
)
def test_metadata_is_judged_as_that_of_other_formats(tmp_path: Path, text: str, found: list[str]) -> None:
    model = onnx_model([])
    model.metadata_props.add(key="config", value=text)
    assert rules(look(tmp_path, model.SerializeToString()).findings) == found
