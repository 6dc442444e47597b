"""YAML of a model's, read within limits as plain data: every document of a stream, every tag, aliases counted first.

Readers of YAML differ in what tags do: PyYAML's unsafe loaders, SnakeYAML and HyperPyYAML import and call what a tag
names. So tags are judged, and their nodes are read as plain mappings, lists and texts. Not here: what keys mean
(loading.loader_keys), other formats of text (document).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.loading.inspection import add
from weighbridge.content.loading.yaml_tags import rulings
from weighbridge.content.text_encoding import decode
from weighbridge.domain.report import Finding

#: Bytes of a YAML text; model cards with evaluation results reach 0.5 MiB.
MAX_YAML_SIZE = 2 * 1024**2
#: Levels of nesting; C code would overflow its stack on more.
MAX_DEPTH = 100
#: The most values of a YAML text after its aliases are expanded.
MAX_VALUES = 500_000
#: Documents of one stream.
MAX_DOCUMENTS = 1000


@dataclass(frozen=True)
class YamlStream:
    """The documents of a YAML text.

    Attributes:
        documents: their values, plain data and dates; empty when the text was refused.
        overwritten: values of keys that are there twice, of which one reader takes this and another that.
        findings: what is wrong with it.
    """

    documents: tuple[Any, ...] = ()
    overwritten: tuple[Any, ...] = ()
    findings: tuple[Finding, ...] = ()


class _Refused(ValueError):
    """The text is not accepted; the message says why, as the end of “it …”."""


def read_stream(content: bytes) -> YamlStream:
    """Read all documents of a YAML text.

    1. The events are walked first: depth, tags, and the size once aliases are followed.
    2. Only then are values built, by the safe loader with plain data for every other tag.

    Findings: `config.invalid`, `config.unsafe-tag`, `config.unknown-tag`, `config.duplicate-key`, and what
    `loading.yaml_tags` says of tags.
    """
    findings = Findings()
    try:
        text = decode(content)
        _walk(text, findings)
        loader = _PlainLoader(text)
        try:
            documents = tuple(_documents(loader))
        finally:
            loader.dispose()
    except UnicodeDecodeError:
        findings.add("config.invalid", "error", "It is no text.")
    except _Refused as error:
        findings.add("config.invalid", "error", f"It {error}.")
    except Exception as error:  # noqa: BLE001 (the constructors of dates, numbers and sets raise anything on odd values)
        findings.add("config.invalid", "error", f"It is no plain YAML: {quoted(str(error))}.")
    else:
        for key, _ in loader.overwritten:
            text = f"The key {quoted(key)} is there twice; tools differ in which one they take."
            findings.add("config.duplicate-key", "warning", text)
        overwritten = tuple({key: value} for key, value in loader.overwritten)
        return YamlStream(documents, overwritten, findings.all)
    return YamlStream(findings=findings.all)


def _documents(loader: _PlainLoader) -> Iterator[Any]:
    while loader.check_data():
        yield loader.get_data()


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PlainLoader(_SafeLoader):  # type: ignore[misc]
    """The safe loader, with plain data for tags that it does not know, and with what repeated keys overwrite."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.overwritten: list[tuple[Any, Any]] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping as the safe loader does, and keep what its later keys overwrite."""
        written = [pair for pair in node.value if pair[0].tag != "tag:yaml.org,2002:merge"]
        seen: dict[Any, Any] = {}
        for key_node, value_node in written:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    value = self.construct_object(seen[key_node.value], deep=True)
                    self.overwritten.append((key_node.value, value))
                seen[key_node.value] = value_node
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found

    def construct_plain(self, node: Any) -> Any:
        """Return a node of any tag as mapping, list or text."""
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node)


_PlainLoader.add_constructor(None, _PlainLoader.construct_plain)


@dataclass
class _Size:
    """The counts of the events so far: all values, those of each anchor, and the open collections."""

    total: int = 0
    anchors: dict[str, int] = field(default_factory=dict)
    open: list[tuple[str | None, int]] = field(default_factory=list)


def _walk(text: str, findings: Findings) -> None:
    size, documents = _Size(), 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            size.anchors.clear()
            if documents > MAX_DOCUMENTS:
                raise _Refused(f"holds more than {MAX_DOCUMENTS:,} documents")
        tag = getattr(event, "tag", None)
        if tag:
            value = event.value if isinstance(event, yaml.ScalarEvent) else None
            for reader, ruling in rulings(tag, value):
                line = event.start_mark.line + 1 if event.start_mark else 0
                add(findings, reader, quoted(tag), ruling, f"line {line}")
        _count(event, size)
        if size.total > MAX_VALUES:
            raise _Refused(f"stands for more than {MAX_VALUES:,} values")


def _count(event: Any, size: _Size) -> None:
    if isinstance(event, yaml.CollectionStartEvent):
        size.open.append((event.anchor, size.total))
        if len(size.open) > MAX_DEPTH:
            raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
        size.total += 1
    elif isinstance(event, yaml.CollectionEndEvent):
        anchor, before = size.open.pop()
        if anchor:
            size.anchors[anchor] = size.total - before
    elif isinstance(event, yaml.AliasEvent):
        if event.anchor not in size.anchors:
            raise _Refused("has an alias inside of what it stands for, or of nothing")
        size.total += size.anchors[event.anchor]
    elif isinstance(event, yaml.ScalarEvent):
        size.total += 1
        if event.anchor:
            size.anchors[event.anchor] = 1
