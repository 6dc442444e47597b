"""TensorFlow's graphs: SavedModel, frozen graph, MetaGraph, and what their operators reach beyond tensors.

A graph is a program: an operator may read or write files or call Python, in the graph itself or in a function of its
library. The messages are walked on the wire, as no reader of TensorFlow's is installed: a file is read as each kind of
message that a loader could take it for. Runs in a child process (sandbox). Not here: what operators do
(tensorflow_operators), graphs as texts (tensorflow_text), Keras configurations (keras), variables.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weighbridge.content import sandbox
from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import keras, tensorflow_text
from weighbridge.content.headers.outside import leaves_model
from weighbridge.content.headers.protobuf import Malformed, fields, varint_at
from weighbridge.content.headers.tensorflow_operators import (
    JOINING,
    LIBRARY_MARK,
    OPERATORS,
    PASSING,
    WITHIN,
    Operator,
)
from weighbridge.domain.report import Finding

#: Nodes of all graphs and functions of one file; the largest known models have a tenth of it.
MAX_NODES = 5_000_000
#: Nodes that a text is followed through, and texts that it may become.
_MAX_STEPS, _MAX_TEXTS = 64, 256
#: Bytes of a constant text that is followed.
_MAX_TEXT = 4096
_STRING = 7
#: The placeholder of an unknown part of a text.
_UNKNOWN = "?"


@dataclass(frozen=True)
class GraphHeader:
    """What a file's graphs lead to.

    Attributes:
        nodes: operators in all its graphs and functions.
        bytes_read: bytes of the file, which was walked whole.
        findings: `tensorflow.*` and `keras.*`.
        failure: why the file could not be read to its end, or empty.
    """

    nodes: int = 0
    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


@dataclass
class _Node:
    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)


@dataclass
class _Graph:
    """One graph or function body: its nodes by name, and the names of its arguments."""

    name: str = ""
    nodes: dict[str, _Node] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


@dataclass
class _File:
    """What was collected of a file: graphs, asset files by the tensor that names them, Keras configurations."""

    graphs: list[_Graph] = field(default_factory=list)
    assets: dict[str, str] = field(default_factory=dict)
    configurations: list[bytes] = field(default_factory=list)
    nodes: int = 0


def read(path: Path, limits: sandbox.ReadingLimits | None = None) -> GraphHeader:
    """Read a file's graphs in a child process; never raises because of its content."""
    reading = sandbox.read("tensorflow", path, limits)
    if reading.answer is None:
        return GraphHeader(failure=reading.reason)
    findings = tuple(Finding(**finding) for finding in reading.answer["findings"])
    return GraphHeader(**{**reading.answer, "findings": findings})


def walk_file(path: Path) -> dict[str, Any]:
    """Walk a file and return `GraphHeader`'s fields as plain JSON; the child's work."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        content = memoryview(mapped)
        header = walk(content)
        content.release()
        return asdict(header)


def walk(content: memoryview) -> GraphHeader:
    """Walk a file's bytes as every message that a loader could take them for.

    1. As a SavedModel, a MetaGraph, a graph and Keras's metadata; what is none of them has no nodes there.
    2. A text is judged as one: `saved_model.pbtxt` is loaded too (tensorflow_text).
    3. Every operator of the table is checked, with its paths traced to constants.
    4. Embedded Keras configurations are checked like those of other files.
    """
    findings = Findings()
    found, problems = _File(), []
    for collect in (_saved_model, _meta_graph, _graph_definition, _saved_metadata):
        attempt = _File()
        try:
            collect(content, attempt)
        except (Malformed, UnicodeDecodeError) as error:
            problems.append(str(error))
            continue
        found.graphs += attempt.graphs
        found.assets |= attempt.assets
        found.configurations += attempt.configurations
        found.nodes += attempt.nodes
    is_text = tensorflow_text.is_text(content)
    if is_text:
        findings.extend(tensorflow_text.inspect(content))
    elif len(problems) == 4:
        return GraphHeader(failure=f"it cannot be read as a graph of TensorFlow's: {quoted(problems[0])}")
    _Judge(found, findings).judge()
    findings.extend(keras.judge(found.configurations).findings)
    return GraphHeader(found.nodes, len(content), findings.all)


def _messages(content: memoryview, number: int) -> Iterator[memoryview]:
    return (value for at, value in fields(content) if at == number and isinstance(value, memoryview))


def _text(content: memoryview) -> str:
    return bytes(content[:_MAX_TEXT]).decode(errors="backslashreplace")


def _saved_model(content: memoryview, found: _File) -> None:
    """SavedModel: meta_graphs = 2."""
    for meta_graph in _messages(content, 2):
        _meta_graph(meta_graph, found)


def _meta_graph(content: memoryview, found: _File) -> None:
    """MetaGraphDef: graph_def = 2, asset_file_def = 6, object_graph_def = 7."""
    for number, value in fields(content):
        if not isinstance(value, memoryview):
            continue
        if number == 2:
            _graph_definition(value, found)
        elif number == 6:
            parts = dict(fields(value))
            tensor, name = parts.get(1), parts.get(2)
            names = [_text(part) for part in _messages(tensor, 1)] if isinstance(tensor, memoryview) else []
            for tensor_name in names:
                found.assets[tensor_name.partition(":")[0]] = _text(name) if isinstance(name, memoryview) else ""
        elif number == 7:
            _object_graph(value, found)


def _object_graph(content: memoryview, found: _File) -> None:
    """SavedObjectGraph: nodes = 1; SavedObject: user_object = 4; SavedUserObject: identifier = 1, metadata = 3."""
    for node in _messages(content, 1):
        for user_object in _messages(node, 4):
            parts = {number: value for number, value in fields(user_object) if isinstance(value, memoryview)}
            if _text(parts.get(1, memoryview(b""))).startswith("_tf_keras") and 3 in parts:
                found.configurations.append(bytes(parts[3][: keras.MAX_CONFIG_SIZE]))


def _saved_metadata(content: memoryview, found: _File) -> None:
    """SavedMetadata (keras_metadata.pb): nodes = 1; SavedObject: identifier = 4, metadata = 5."""
    for node in _messages(content, 1):
        parts = {number: value for number, value in fields(node) if isinstance(value, memoryview)}
        if _text(parts.get(4, memoryview(b""))).startswith("_tf_keras") and 5 in parts:
            found.configurations.append(bytes(parts[5][: keras.MAX_CONFIG_SIZE]))


def _graph_definition(content: memoryview, found: _File) -> None:
    """GraphDef: node = 1, library = 2; FunctionDefLibrary: function = 1."""
    graph = _Graph()
    for number, value in fields(content):
        if number == 1 and isinstance(value, memoryview):
            _node(value, graph, found)
        elif number == 2 and isinstance(value, memoryview):
            for function in _messages(value, 1):
                _function(function, found)
    if graph.nodes:
        found.graphs.append(graph)


def _function(content: memoryview, found: _File) -> None:
    """FunctionDef: signature = 1 (OpDef: name = 1, input_arg = 2), node_def = 3."""
    graph = _Graph()
    for number, value in fields(content):
        if number == 1 and isinstance(value, memoryview):
            for at, part in fields(value):
                if at == 1 and isinstance(part, memoryview):
                    graph.name = _text(part)
                elif at == 2 and isinstance(part, memoryview):
                    graph.arguments += [_text(name) for name in _messages(part, 1)]
        elif number == 3 and isinstance(value, memoryview):
            _node(value, graph, found)
    if graph.nodes:
        found.graphs.append(graph)


def _node(content: memoryview, graph: _Graph, found: _File) -> None:
    """NodeDef: name = 1, op = 2, input = 3, attr = 5 (a map: key = 1, value = 2)."""
    found.nodes += 1
    if found.nodes > MAX_NODES:
        raise Malformed(f"it has more than {MAX_NODES:,} operators")
    name, node = "", _Node()
    for number, value in fields(content):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = _text(value)
        elif number == 2:
            node.operator = _text(value)
        elif number == 3:
            node.inputs.append(_text(value))
        elif number == 5:
            parts = {at: part for at, part in fields(value) if isinstance(part, memoryview)}
            if 1 in parts and 2 in parts:
                _attribute(_text(parts[1]), parts[2], node)
    # A second node of a name, which TensorFlow refuses, is kept beside the first.
    graph.nodes[name if name not in graph.nodes else f"{name}#{found.nodes}"] = node


def _attribute(key: str, content: memoryview, node: _Node, *, nested: bool = False) -> None:
    """AttrValue: list = 1, s = 2, tensor = 8, func = 10 (NameAttrList: name = 1); ListValue: s = 2, func = 9."""
    for number, value in fields(content):
        if not isinstance(value, memoryview):
            continue
        if number == 1 and not nested:
            _attribute(key, value, node, nested=True)
        elif number == 2:
            node.texts.setdefault(key, []).append(_text(value))
        elif number == 8 and not nested:
            node.texts.setdefault(key, []).extend(_tensor_texts(value))
        elif number == (9 if nested else 10):
            node.functions += [_text(name) for name in _messages(value, 1)]


def _tensor_texts(content: memoryview) -> list[str]:
    """Return the texts of a tensor. TensorProto: dtype = 1, tensor_content = 4, string_val = 8."""
    texts: list[str] = []
    kind, packed = 0, memoryview(b"")
    for number, value in fields(content):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 4 and isinstance(value, memoryview):
            packed = value
        elif number == 8 and isinstance(value, memoryview) and len(texts) < _MAX_TEXTS:
            texts.append(_text(value))
    if kind == _STRING and packed:
        texts += _packed_texts(packed)
    return texts if kind == _STRING else []


def _packed_texts(content: memoryview) -> list[str]:
    """Return the texts of a tensor's packed content: all lengths as varints, then all texts."""
    lengths: list[int] = []
    at = 0
    while at + sum(lengths) < len(content) and len(lengths) < _MAX_TEXTS:
        length, at = varint_at(content, at)
        lengths.append(length)
    texts = []
    for length in lengths:
        texts.append(_text(content[at : at + length]))
        at += length
    return texts


class _Judge:
    """Judges the operators of one file; constants are followed through what only passes them on."""

    def __init__(self, found: _File, findings: Findings) -> None:
        self._found, self._findings = found, findings
        self._calls: dict[str, list[tuple[_Graph, str]]] = defaultdict(list)
        for graph in found.graphs:
            for name, node in graph.nodes.items():
                for function in {*node.functions, node.operator}:
                    self._calls[function].append((graph, name))

    def judge(self) -> None:
        for name in self._found.assets.values():
            if leaves_model(name):
                text = f"It reads the asset {quoted(name)}, which is outside of the model."
                self._findings.add("tensorflow.reads-file", "error", text)
        for graph in self._found.graphs:
            for name, node in graph.nodes.items():
                if operator := OPERATORS.get(node.operator):
                    self._operator(graph, name, node, operator)
                elif LIBRARY_MARK in node.operator:
                    text = f"Its operator {quoted(node.operator)} needs a library that is not part of TensorFlow."
                    self._findings.add("tensorflow.custom-operator", "warning", text)

    def _operator(self, graph: _Graph, name: str, node: _Node, operator: Operator) -> None:
        where = quoted(f"{graph.name}/{name}" if graph.name else name)
        says = f"Its operator {node.operator} {operator.what}"
        if operator.kind == "always":
            self._findings.add("tensorflow.operator", "error", f"{says}.", where)
            return
        places = [text for key in operator.attributes for text in node.texts.get(key, ())]
        inputs = [text for text in node.inputs if not text.startswith("^")]
        for index in operator.inputs:
            if index < len(inputs):
                places += self._texts(graph, inputs[index], set(), assets=operator.kind == "place")
        outside = [place for place in places if leaves_model(place) and not place.startswith(WITHIN)]
        if outside:
            text = f"{says}: {quoted(outside[0])}, which is outside of the model."
            self._findings.add("tensorflow.reads-file", "error", text, where)
        elif operator.kind == "reader":
            hidden = self._outside_constant() if not places or _UNKNOWN in places else ""
            if hidden:
                text = f"{says} of a name that is not known before it runs, and it holds {quoted(hidden)}."
                self._findings.add("tensorflow.reads-file", "error", text, where)
            else:
                text = f"{says}; which ones, whoever runs it decides."
                self._findings.add("tensorflow.operator", "warning", text, where)

    def _outside_constant(self) -> str:
        """Return a constant text of any graph that is a place outside of the model, or empty."""
        for graph in self._found.graphs:
            for name, node in graph.nodes.items():
                if node.operator == "Const" and name not in self._found.assets:
                    for text in node.texts.get("value", ()):
                        if len(text) > 3 and leaves_model(text):
                            return text
        return ""

    def _texts(self, graph: _Graph, name: str, seen: set[tuple[int, str]], *, assets: bool) -> list[str]:
        """Return what texts an input may be, `?` for what is not known; arguments come from who calls a function.

        A loader gives an asset's place to what initialises a table, whatever the constant says; to nothing else.
        """
        plain = name.partition(":")[0].removeprefix("^")
        key = (id(graph), plain)
        if key in seen or len(seen) > _MAX_STEPS:
            return [_UNKNOWN]
        seen = seen | {key}
        node = graph.nodes.get(plain)
        if node is None:
            return self._argument(graph, plain, seen, assets=assets) if plain in graph.arguments else [_UNKNOWN]
        if assets and not graph.name and plain in self._found.assets:
            return []
        if node.operator == "Const":
            return node.texts.get("value", [])
        inputs = [text for text in node.inputs if not text.startswith("^")]
        if node.operator in JOINING:
            return self._joined((self._texts(graph, text, seen, assets=assets) for text in inputs), node)
        if node.operator in PASSING:
            return [text for name in inputs for text in self._texts(graph, name, seen, assets=assets)][:_MAX_TEXTS]
        return [_UNKNOWN]

    def _argument(self, graph: _Graph, name: str, seen: set[tuple[int, str]], *, assets: bool) -> list[str]:
        """Return what a function's argument may be, by its position; one that no node calls takes any constant."""
        callers = self._calls.get(graph.name, [])
        if not callers:
            hidden = self._outside_constant()
            return [hidden or _UNKNOWN]
        texts = []
        for caller, node_name in callers[:_MAX_STEPS]:
            given = [text for text in caller.nodes[node_name].inputs if not text.startswith("^")]
            if len(given) == len(graph.arguments):
                given = [given[graph.arguments.index(name)]]
            for text in given:
                texts += self._texts(caller, text, seen, assets=assets)
        return texts[:_MAX_TEXTS] or [_UNKNOWN]

    @staticmethod
    def _joined(parts: Iterable[list[str]], node: _Node) -> list[str]:
        separator = "".join(node.texts.get("separator", ())[:1])
        joined: list[str] | None = None
        for texts in parts:
            options = texts or [""]
            joined = options if joined is None else [a + separator + b for a in joined for b in options][:_MAX_TEXTS]
        return joined or [_UNKNOWN]
