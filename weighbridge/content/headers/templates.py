"""Chat templates: Jinja programs of the publisher's that every chat tool renders. Parsed to a tree, never rendered.

What is looked for: reaching Python's internals (CVE-2024-34359 was a GGUF's chat template), loading other templates,
and loops that never end. Not here: whether the words of a template are good for its users.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import (
    MAX_RANGE,
    UNSAFE_ASYNC_GENERATOR_ATTRIBUTES,
    UNSAFE_COROUTINE_ATTRIBUTES,
    UNSAFE_GENERATOR_ATTRIBUTES,
)

from weighbridge.content.findings import Findings, quoted
from weighbridge.domain.report import Finding

#: Characters of a template; the largest in use have about 30,000.
MAX_TEMPLATE_LENGTH = 256 * 1024
#: Steps that loops over literal ranges may make together.
MAX_STEPS = 10 * MAX_RANGE
#: Objects of Jinja's or a web framework's that lead to Python's internals; no chat template needs one.
_GATEWAYS = {
    "lipsum": "Jinja's own function",
    "cycler": "Jinja's own class",
    "joiner": "Jinja's own class",
    "self": "the template itself",
    "request": "a web framework's object",
    "config": "a web framework's object",
    "url_for": "a web framework's function",
    "get_flashed_messages": "a web framework's function",
}
#: Attributes without an underscore that lead out of the data.
_UNSAFE = (
    UNSAFE_GENERATOR_ATTRIBUTES
    | UNSAFE_COROUTINE_ATTRIBUTES
    | UNSAFE_ASYNC_GENERATOR_ATTRIBUTES
    | {"mro", "func_globals", "func_code", "f_globals", "f_builtins", "f_locals", "tb_frame", "format_map"}
)
_DUNDER = re.compile(r"__\w*?[a-zA-Z0-9]__")
_INTERNALS = frozenset(
    name
    for kind in (object, type, types.FunctionType, types.ModuleType, types.CodeType, types.MethodType, Exception)
    for name in dir(kind)
    if name.startswith("__")
) | {"__builtins__", "__import__", "__subclasses__", "__mro__", "__bases__", "__base__", "__wrapped__", "__path__"}
#: Filters that fetch an attribute by name: position of the name among the arguments.
_ATTRIBUTE_FILTERS = {"attr": 0, "selectattr": 0, "rejectattr": 0, "groupby": 0}


class GenerationTag(Extension):
    """The tag `generation`, with which transformers marks the assistant's words; its body is ordinary template."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the tag's body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


#: Only ever used to parse. The extensions are those that transformers renders with.
_ENVIRONMENT = Environment(  # noqa: S701 (nothing is rendered)
    trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, "jinja2.ext.loopcontrols"]
)


@dataclass(frozen=True)
class Template:
    """A chat template and where it stands, such as `chat_template` or `chat_template.tool_use`."""

    text: str
    key: str


def inspect(template: Template) -> tuple[Finding, ...]:
    """Return what is wrong with a template; never raises because of it.

    Findings: `template.invalid`, `template.too-large`, `template.internals`, `template.gateway`, `template.include`,
    `template.endless`, `template.dynamic-attribute`.
    """
    findings = Findings()
    if len(template.text) > MAX_TEMPLATE_LENGTH:
        text = f"The template has {len(template.text):,} characters; {MAX_TEMPLATE_LENGTH:,} are read at most."
        findings.add("template.too-large", "error", text, template.key)
        return findings.all
    try:
        tree = _ENVIRONMENT.parse(template.text)
        for node in _walk(tree):
            _inspect_node(node, template.key, findings)
        if _steps(tree) > MAX_STEPS:
            text = f"Its loops make more than {MAX_STEPS:,} steps."
            findings.add("template.endless", "error", text, template.key)
    except TemplateSyntaxError as error:
        text = f"Jinja cannot parse the template: {quoted(error.message or '')}."
        findings.add("template.invalid", "warning", text, f"{template.key}:{error.lineno}")
    except RecursionError:
        findings.add("template.invalid", "error", "The template is nested too deeply.", template.key)
    except Exception as error:  # noqa: BLE001 (Jinja's parser leaks other errors on odd literals; none may pass as clean)
        text = f"Jinja's parser broke on the template: {type(error).__name__}."
        findings.add("template.invalid", "error", text, template.key)
    return findings.all


def templates_in(value: Any) -> Iterator[Template]:
    """Yield the chat templates of a tokenizer's or processor's configuration.

    `chat_template` is a text, a list of `{name, template}`, or an object of texts by name.
    """
    found = value.get("chat_template") if isinstance(value, dict) else None
    if isinstance(found, str):
        yield Template(found, "chat_template")
    elif isinstance(found, list):
        for entry in found:
            if isinstance(entry, dict) and isinstance(entry.get("template"), str):
                yield Template(entry["template"], f"chat_template.{entry.get('name', '')}")
    elif isinstance(found, dict):
        for name, text in found.items():
            if isinstance(text, str):
                yield Template(text, f"chat_template.{name}")


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_child_nodes())


def _inspect_node(node: nodes.Node, key: str, findings: Findings) -> None:
    where = f"{key}:{node.lineno}"
    if isinstance(node, nodes.Import | nodes.FromImport | nodes.Include | nodes.Extends):
        findings.add("template.include", "error", "It loads another template.", where)
    elif isinstance(node, nodes.Getattr):
        _inspect_attribute(node.attr, where, findings)
        if isinstance(node.node, nodes.Name) and node.node.name in _GATEWAYS:
            text = f"It reaches into {node.node.name}, {_GATEWAYS[node.node.name]}."
            findings.add("template.gateway", "error", text, where)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        _inspect_attribute(node.arg.value, where, findings, item=True)
    elif isinstance(node, nodes.Filter):
        _inspect_filter(node, where, findings)
    elif isinstance(node, nodes.Name) and node.ctx == "load" and node.name in ("lipsum", "cycler", "joiner"):
        findings.add("template.gateway", "warning", f"It uses {node.name}, {_GATEWAYS[node.name]}.", where)
    elif isinstance(node, nodes.Const):
        for name in _DUNDER.findall(node.value) if isinstance(node.value, str) else ():
            if name in _INTERNALS:
                text = f"A text in it names {quoted(name)} of Python's internals."
                findings.add("template.internals", "error", text, where)
    elif isinstance(node, nodes.Concat | nodes.Add):
        _inspect_joining(node, where, findings)
    elif isinstance(node, nodes.Mul | nodes.Pow):
        _inspect_growth(node, where, findings)
    elif isinstance(node, nodes.Call):
        for keyword in node.kwargs:
            if keyword.key == "attribute" and isinstance(keyword.value, nodes.Const):
                _inspect_attribute(str(keyword.value.value), where, findings)


def _inspect_attribute(name: str, where: str, findings: Findings, *, item: bool = False) -> None:
    parts = name.split(".")
    if any(part in _UNSAFE or part.startswith("__" if item else "_") for part in parts):
        text = f"It reaches for {quoted(name)}, which leads to Python's internals."
        findings.add("template.internals", "error", text, where)


def _inspect_filter(node: nodes.Filter, where: str, findings: Findings) -> None:
    names: list[nodes.Expr] = [keyword.value for keyword in node.kwargs if keyword.key == "attribute"]
    position = _ATTRIBUTE_FILTERS.get(node.name)
    if position is not None and len(node.args) > position:
        names.append(node.args[position])
    for name in names:
        if isinstance(name, nodes.Const):
            _inspect_attribute(str(name.value), where, findings)
        else:
            text = f"The filter {node.name} fetches an attribute whose name is made up while it runs."
            findings.add("template.dynamic-attribute", "warning", text, where)


def _inspect_joining(node: nodes.Concat | nodes.Add, where: str, findings: Findings) -> None:
    parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
    texts = [part.value for part in parts if isinstance(part, nodes.Const) and isinstance(part.value, str)]
    if any(text and (text.startswith("__") or text.endswith("__") or not text.strip("_")) for text in texts):
        text = "It puts a name with underscores together while it runs."
        findings.add("template.dynamic-attribute", "warning", text, where)


def _inspect_growth(node: nodes.Mul | nodes.Pow, where: str, findings: Findings) -> None:
    left, right = _integer(node.left), _integer(node.right)
    if isinstance(node, nodes.Pow):
        too_much = right is not None and (left.bit_length() if left is not None else 8) * right > MAX_RANGE
    else:
        sides = ((node.left, right), (node.right, left))
        too_much = any(
            times is not None and times > MAX_RANGE and not isinstance(side, nodes.Name) and _integer(side) is None
            for side, times in sides
        )
    if too_much:
        findings.add("template.endless", "error", "It makes a value too large to hold.", where)


def _steps(node: nodes.Node, depth: int = 0) -> int:
    """Return how many steps nested loops over literal ranges make; a loop over data counts as one."""
    inner = max((_steps(child, depth + 1) for child in node.iter_child_nodes()), default=1)
    if isinstance(node, nodes.For):
        return max(1, _range_length(node.iter)) * inner
    if isinstance(node, nodes.Call):
        return max(_range_length(node), inner)
    return inner


def _range_length(node: nodes.Node) -> int:
    if not (isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range"):
        return 0
    values = [_integer(argument) for argument in node.args]
    known = [value for value in values if value is not None]
    if len(known) != len(values) or not 1 <= len(known) <= 3:
        # With a bound that is data, the literal ones are no promise.
        return 1
    try:
        numbers = range(*known)
    except ValueError:
        return 1
    step = abs(numbers.step)
    return (
        max(0, (abs(numbers.stop - numbers.start) + step - 1) // step)
        if (numbers.stop > numbers.start) == (numbers.step > 0)
        else 0
    )


def _integer(node: nodes.Node) -> int | None:
    if isinstance(node, nodes.Neg):
        inner = _integer(node.node)
        return -inner if inner is not None else None
    if isinstance(node, nodes.Const) and isinstance(node.value, int):
        return node.value
    if isinstance(node, nodes.Mul | nodes.Add | nodes.Pow):
        left, right = _integer(node.left), _integer(node.right)
        if left is None or right is None:
            return None
        if isinstance(node, nodes.Pow):
            return left**right if abs(left) < 2**32 and 0 <= right <= 64 else 2**64
        return left * right if isinstance(node, nodes.Mul) else left + right
    return None
