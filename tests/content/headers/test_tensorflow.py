import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.protobuf import encode
from weighbridge.content.headers.tensorflow import GraphHeader, read, walk
from weighbridge.content.headers.tensorflow_operators import OPERATORS

Field = tuple[int, int | bytes | str]


def message(*parts: Field) -> bytes:
    out = b""
    for number, value in parts:
        if isinstance(value, int):
            out += encode(number << 3) + encode(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            out += encode(number << 3 | 2) + encode(len(content)) + content
    return out


def node(name: str, operator: str, *inputs: str, **attributes: bytes) -> bytes:
    values = [(5, message((1, key), (2, value))) for key, value in attributes.items()]
    return message((1, name), (2, operator), *((3, text) for text in inputs), *values)


def text(value: str) -> bytes:
    return message((2, value))


def texts(*values: str) -> bytes:
    return message((1, message(*((2, value) for value in values))))


def constant(name: str, value: str, *, packed: bool = False) -> bytes:
    content = [(4, encode(len(value)) + value.encode())] if packed else [(8, value)]
    return node(name, "Const", value=message((8, message((1, 7), *content))))


def function(name: str, nodes: Sequence[bytes], *arguments: str) -> bytes:
    signature = message((1, name), *((2, message((1, argument))) for argument in arguments))
    return message((1, signature), *((3, part) for part in nodes))


def graph(*nodes: bytes, functions: Sequence[bytes] = ()) -> bytes:
    library = [(2, message(*((1, part) for part in functions)))] if functions else []
    return message(*((1, part) for part in nodes), *library, (4, message((1, 1882))))


def asset(tensor: str, name: str) -> bytes:
    return message((1, message((1, tensor))), (2, name))


def meta_graph(content: bytes, *assets: bytes, objects: bytes = b"") -> bytes:
    info = message((4, "serve"), (5, "2.16.1"))
    return message((1, info), (2, content), *((6, part) for part in assets), *([(7, objects)] if objects else []))


def saved_model(content: bytes, *assets: bytes, objects: bytes = b"") -> bytes:
    return message((1, 1), (2, meta_graph(content, *assets, objects=objects)))


def look(content: bytes) -> GraphHeader:
    return walk(memoryview(content))


PLACES = {"/etc/passwd", "../../secret", "http://127.0.0.1/x", "C:\\x", "file:///x"}
SAVER = [
    node("saver_filename", "Placeholder"),
    constant("suffix", "_temp/part"),
    node("join", "StringJoin", "saver_filename", "suffix"),
    node("shard", "ShardedFilename", "join", "n", "n"),
    constant("names", "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"),
    node("SaveV2", "SaveV2", "shard", "names", "names", "x"),
    node("merge", "MergeV2Checkpoints", "shard", "saver_filename"),
    node("RestoreV2", "RestoreV2", "saver_filename", "names", "names"),
]
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "SavedModel": saved_model,
    "MetaGraph": meta_graph,
    "graph": lambda content: content,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", sorted(name for name, found in OPERATORS.items() if found.kind == "always"))
def test_operators_that_no_model_has_a_use_for_are_errors_wherever_they_are(kind: str, operator: str) -> None:
    wrapped = KINDS[kind]
    for content in (
        graph(node("x", operator)),
        graph(node("y", "MatMul"), functions=[function("f", [node("x", operator)])]),
    ):
        found = look(wrapped(content))
        assert [(finding.rule, finding.level) for finding in found.findings] == [("tensorflow.operator", "error")]


@pytest.mark.parametrize(
    "operator", sorted(name for name, found in OPERATORS.items() if found.inputs and found.kind != "always")
)
@pytest.mark.parametrize("place", sorted(PLACES))
def test_constant_places_outside_of_the_model_are_errors(operator: str, place: str) -> None:
    inputs = ["p" if index in OPERATORS[operator].inputs else "other" for index in range(3)]
    found = look(graph(constant("p", place), node("through", "Identity", "p:0"), node("x", operator, *inputs)))
    assert [(finding.rule, finding.level) for finding in found.findings] == [("tensorflow.reads-file", "error")]


@pytest.mark.parametrize("operator", sorted(name for name, found in OPERATORS.items() if found.attributes))
def test_places_in_attributes_are_errors_too(operator: str) -> None:
    (key,) = OPERATORS[operator].attributes
    for value in (text("file:///tmp/x"), texts("file:///tmp/x")):
        assert rules(look(graph(node("x", operator, **{key: value}))).findings) == ["tensorflow.reads-file"]
    assert look(graph(node("x", operator, **{key: text("")}))).findings == ()


def test_texts_are_followed_through_what_passes_and_joins_them() -> None:
    joined = [constant("a", "/etc"), constant("b", "passwd"), node("j", "StringJoin", "a", "b", separator=text("/"))]
    for nodes in (
        [*joined, node("pack", "Pack", "j"), node("x", "ReadFile", "pack")],
        [constant("p", "/etc/passwd", packed=True), node("x", "ReadFile", "p")],
        [node("u", "Placeholder"), constant("b", "/../../x"), node("j", "Add", "u", "b"), node("x", "RestoreV2", "j")],
    ):
        assert rules(look(graph(*nodes)).findings) == ["tensorflow.reads-file"]


def test_arguments_of_functions_come_from_their_callers() -> None:
    reads = function("read", [node("x", "RestoreV2", "place")], "place")
    call = node("call", "PartitionedCall", "p", f=message((10, message((1, "read")))))
    assert rules(look(graph(constant("p", "/etc/passwd"), call, functions=[reads])).findings) == [
        "tensorflow.reads-file"
    ]
    assert look(graph(constant("p", "here"), call, functions=[reads])).findings == ()
    assert rules(look(graph(constant("p", "/etc/passwd"), functions=[reads])).findings) == ["tensorflow.reads-file"]


def test_readers_of_unknown_files_are_a_warning_and_an_error_beside_a_place_outside() -> None:
    reader = [node("u", "Placeholder"), node("x", "ReadFile", "u")]
    found = look(graph(*reader)).findings
    assert [(finding.rule, finding.level) for finding in found] == [("tensorflow.operator", "warning")]
    assert rules(look(graph(*reader, constant("p", "/etc/passwd"))).findings) == ["tensorflow.reads-file"]


def test_what_every_saved_model_has_is_harmless() -> None:
    plain = [node("x", "Placeholder"), node("m", "MatMul", "x", "x"), node("i", "IfV2", "x"), *SAVER]
    called = node("call", "StatefulPartitionedCall", "saver_filename", f=message((10, message((1, "restore")))))
    restore = function("restore", [node("r", "RestoreV2", "prefix", "names")], "prefix")
    assert look(saved_model(graph(*plain, called, functions=[restore]))).findings == ()
    assert look(graph(node("x", "PrintV2", "x", output_stream=text("stderr")))).findings == ()
    assert look(graph(node("x", "DecodeProtoV2", "x", descriptor_source=text("local://")))).findings == ()


def test_a_table_takes_its_vocabulary_from_an_asset() -> None:
    table = graph(constant("vocab", "/home/me/vocab.txt"), node("x", "InitializeTableFromTextFileV2", "t", "vocab"))
    assert look(saved_model(table, asset("vocab:0", "vocab.txt"))).findings == ()
    assert rules(look(saved_model(table)).findings) == ["tensorflow.reads-file"]
    assert rules(look(saved_model(table, asset("vocab:0", "../../../etc/passwd"))).findings) == [
        "tensorflow.reads-file"
    ]
    reader = graph(constant("vocab", "/etc/passwd"), node("x", "ReadFile", "vocab"))
    assert rules(look(saved_model(reader, asset("vocab:0", "vocab.txt"))).findings) == ["tensorflow.reads-file"]


def test_operators_of_other_libraries_are_a_warning() -> None:
    assert rules(look(graph(node("x", "IO>ReadableInit"))).findings) == ["tensorflow.custom-operator"]


def test_keras_configurations_within_are_judged() -> None:
    said = json.dumps({"class_name": "Lambda", "config": {"function": ["4wEAAA=="]}})
    metadata = message((1, message((2, 3), (3, "root.layer"), (4, "_tf_keras_layer"), (5, said))))
    assert rules(look(metadata).findings) == ["keras.lambda"]
    objects = message((1, message((4, message((1, "_tf_keras_layer"), (3, said))))))
    assert rules(look(saved_model(graph(node("x", "MatMul")), objects=objects)).findings) == ["keras.lambda"]
    plain = json.dumps({"class_name": "Dense", "config": {"units": 2}})
    assert look(message((1, message((4, "_tf_keras_layer"), (5, plain))))).findings == ()


def test_the_fingerprint_beside_a_saved_model_is_harmless() -> None:
    assert look(message((1, 17), (2, 4))) == GraphHeader(bytes_read=4)


@pytest.mark.parametrize("content", [b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x07\0", b"\x0b\xff" * 100])
def test_what_is_no_message_is_a_failure(content: bytes) -> None:
    assert look(content).failure


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('meta_graphs { graph_def { node { name: "x" op: "PyFunc" } } }', [("tensorflow.operator", "error")]),
        ("node { op : # a comment\n 'Write' # another\n \"\\x46ile\" }", [("tensorflow.operator", "error")]),
        ('node { op: "Const" attr { value { tensor { string_val: "/etc/passwd" } } } } node { op: "ReadFile" }',
         [("tensorflow.reads-file", "error")]),
        ('node { op: "ReadFile" }', [("tensorflow.operator", "warning")]),
        ('node { op: "RestoreV2" } node { op: "MatMul" attr { key: "s" value { s: "loc:@w" } } }', []),
        ('item { id: 1 name: "PyFunc" }', []),
        ("A text about WriteFile.", []),
    ],
)  # fmt: skip
def test_graphs_as_texts_are_judged(said: str, expected: list[tuple[str, str]]) -> None:
    found = look(said.encode())
    assert found.failure == ""
    assert [(finding.rule, finding.level) for finding in found.findings] == expected


def test_the_child_answers_what_the_walk_says(tmp_path: Path) -> None:
    content = saved_model(graph(constant("n", "x"), node("p", "EagerPyFunc", "n")))
    assert read(write(tmp_path, content)) == look(content)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_mutated_file_never_raises(data: st.DataObject) -> None:
    content = bytearray(saved_model(graph(*SAVER, functions=[function("f", SAVER, "a")]), asset("names:0", "v")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    look(bytes(content))


@pytest.mark.parametrize(
    ("inputs", "found"), [("pq", []), ("qp", ["tensorflow.reads-file"]), ("pqq", ["tensorflow.reads-file"])]
)
def test_an_argument_of_a_function_is_the_one_in_its_place(inputs: str, found: list[str]) -> None:
    saves = function("save", [node("s", "SaveV2", "prefix", "x")], "prefix", "x")
    call = node("call", "StatefulPartitionedCall", *inputs, f=message((10, message((1, "save")))))
    content = graph(constant("p", "variables"), constant("q", "\n\0state"), call, functions=[saves])
    assert rules(look(content).findings) == found
