"""Tags of YAML that make a reader import, call or read something, and those that are plain data.

A node `!!python/object/apply:os.system [id]` runs while PyYAML's unsafe loader reads it; `!new:`, `!name:` and
`!apply:` do so in HyperPyYAML, which speechbrain's models are written in; any other `!!` name is a class to SnakeYAML
(TorchServe, CVE-2022-1471). Not here: reading YAML (headers.yaml_text), what a dotted name is (targets).
"""

from __future__ import annotations

from collections.abc import Iterator

from weighbridge.content.loading import judgements
from weighbridge.content.loading.judgements import Ruling
from weighbridge.content.loading.targets import package_of

_STANDARD = "tag:yaml.org,2002:"
_PYTHON = _STANDARD + "python/"
_PLAIN_LIST = "binary bool float int map merge null omap pairs seq set str timestamp value yaml"
#: Types of YAML itself.
_PLAIN = frozenset(_PLAIN_LIST.split())
_PYTHON_DATA_LIST = "bool bytes complex dict float int list long none str tuple unicode"
#: Types that every loader of PyYAML's builds as data: detectron2, YACS and Lightning write tuples.
_PYTHON_DATA = frozenset(_PYTHON_DATA_LIST.split())
#: Tags by which HyperPyYAML puts values of the same file in, or makes them tuples.
_REFERENCES = ("!ref", "!copy", "!tuple", "!list", "!PLACEHOLDER", "!applyref")


def rulings(tag: str, value: str | None) -> Iterator[tuple[str, Ruling]]:
    """Yield the reader and the ruling on a tag; `value` is the text of a scalar that has it."""
    if tag.startswith(_PYTHON):
        if tag.removeprefix(_PYTHON) not in _PYTHON_DATA:
            does = "imports or calls what a tag names while it reads"
            yield "PyYAML's unsafe loader", Ruling("config.unsafe-tag", "error", does, value or tag)
    elif tag.startswith(_STANDARD):
        if tag.removeprefix(_STANDARD) not in _PLAIN:
            does = "builds an object of the class that a tag names"
            yield "SnakeYAML", Ruling("config.unsafe-tag", "error", does, value or tag)
    elif tag.startswith(("!new:", "!name:", "!apply:", "!applyref:")):
        yield from (("HyperPyYAML", ruling) for ruling in judgements.target(tag.partition(":")[2], {}))
    elif tag.startswith("!module:"):
        if not package_of(f"{tag.partition(':')[2]}.any"):
            yield "HyperPyYAML", Ruling("config.imports", "error", "imports the module that a tag names", tag)
    elif tag == "!function":
        does = "imports code of the publisher beside the file"
        yield "lm-evaluation-harness", Ruling("config.remote-code", "error", does, value or tag)
    elif tag.startswith("!include"):
        path = tag.partition(":")[2] or (value or "")
        yield from (("HyperPyYAML", ruling) for ruling in judgements.joined_path(path, {}))
    elif tag.startswith(("!ruby/", "!php/", "!java")):
        does = "builds an object of the class that a tag names"
        yield "another language's loader", Ruling("config.unsafe-tag", "error", does, tag)
    elif tag != "!" and not tag.startswith(_REFERENCES):
        does = "may call code of its own for a tag that nobody else knows"
        yield "an application's loader", Ruling("config.unknown-tag", "warning", does, value or tag)
