"""The problems of a template, which is parsed, followed and judged, never rendered.

The problems are: access to Python's internals (CVE-2024-34359 was a GGUF's chat template), names computed while it
runs, loading other templates, and loops that never end. Not here: where templates are (places), following them (flow),
whether the words of a template are good for its users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.templates import flow, growth, names
from weighbridge.content.templates.expressions import TooIntertwined
from weighbridge.domain.report import Finding

#: Characters of a template; the largest in use have about 30,000.
MAX_TEMPLATE_LENGTH = 256 * 1024

#: Characters of all templates of one file; the most in use have about 100,000.
MAX_LENGTH_TOGETHER = 1024 * 1024


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
#: With the extensions of other tools, so that templates which only these can parse are checked too.
_WIDER = _ENVIRONMENT.overlay(extensions=["jinja2.ext.do", "jinja2.ext.debug", "jinja2.ext.i18n"])


@dataclass(frozen=True)
class Template:
    """A template and its place.

    Attributes:
        text: the template.
        key: its key, such as `chat_template` or `chat_template.tool_use`.
        name: the name that the publisher gave it, which tools make a file's name of; empty without one.
        sure: whether every reader treats it as Jinja; another text may only look like it.
    """

    text: str
    key: str
    name: str = ""
    sure: bool = True


def inspect_all(templates: Iterable[Template]) -> tuple[Finding, ...]:
    """Return what is wrong with the templates of one file, which are read up to `MAX_LENGTH_TOGETHER`."""
    findings = Findings()
    length = 0
    for template in templates:
        length += len(template.text)
        if length > MAX_LENGTH_TOGETHER:
            text = f"Its templates have more than {MAX_LENGTH_TOGETHER:,} characters together; no more are read."
            findings.add("template.too-large", "error", text, template.key)
            break
        findings.extend(inspect(template))
    return findings.all


def inspect(template: Template) -> tuple[Finding, ...]:
    """Return what is wrong with a template; never raises because of it.

    Findings: `template.invalid`, `template.too-large`, `template.internals`, `template.gateway`, `template.include`,
    `template.endless`, `template.dynamic-attribute`, `template.unsafe-name`.
    """
    findings = Findings()
    if names.is_unsafe_file(template.name):
        text = f"Tools save it under its name {quoted(template.name)}, which is no safe name of a file."
        findings.add("template.unsafe-name", "error", text, template.key)
    if len(template.text) > MAX_TEMPLATE_LENGTH:
        text = f"The template has {len(template.text):,} characters; {MAX_TEMPLATE_LENGTH:,} are read at most."
        findings.add("template.too-large", "error", text, template.key)
        return findings.all
    try:
        _inspect_tree(_parsed(template, findings), template.key, findings)
    except TemplateSyntaxError:
        # `_parsed` has said so; another reader of templates may be less strict.
        for name in names.internals_in("".join(template.text.split())):
            text = f"It cannot be parsed, and names {quoted(name)} of Python's internals."
            findings.add("template.internals", "error", text, template.key)
    except RecursionError:
        findings.add("template.invalid", "error", "The template is nested too deeply.", template.key)
    except TooIntertwined:
        text = "The template is too intertwined to be followed."
        findings.add("template.invalid", "error", text, template.key)
    except Exception as error:  # noqa: BLE001 (Jinja's parser leaks other errors on odd literals; none may pass as clean)
        text = f"Jinja's parser broke on the template: {type(error).__name__}."
        findings.add("template.invalid", "error", text, template.key)
    return findings.all


def _parsed(template: Template, findings: Findings) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(template.text)
    except TemplateSyntaxError as error:
        if template.sure:
            text = f"Jinja cannot parse the template: {quoted(error.message or '')}."
            findings.add("template.invalid", "warning", text, f"{template.key}:{error.lineno}")
        return _WIDER.parse(template.text)


def _inspect_tree(tree: nodes.Template, key: str, findings: Findings) -> None:
    bound = set()
    for node in _walk(tree):
        if isinstance(node, nodes.Name) and node.ctx != "load":
            bound.add(node.name)
    called = {id(node.node) for node in _walk(tree) if isinstance(node, nodes.Call)}
    for node in _walk(tree):
        where = f"{key}:{node.lineno}"
        if isinstance(node, nodes.Import | nodes.FromImport | nodes.Include | nodes.Extends):
            findings.add("template.include", "error", "It loads another template.", where)
        elif isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in bound:
            _inspect_name(node.name, where, findings, is_called=id(node) in called)
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            for name in names.internals_in(node.value):
                text = f"A text in it names {quoted(name)} of Python's internals."
                findings.add("template.internals", "error", text, where)
        for name in _given_names(node):
            if names.is_internal(name):
                text = f"It gives something the name {quoted(name)} of Python's internals."
                findings.add("template.internals", "error", text, where)
    growth.inspect(tree, key, findings)
    flow.follow(tree, key, findings)


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_child_nodes())


def _given_names(node: nodes.Node) -> tuple[str, ...]:
    """Return the names that a node gives to something: a keyword, variable, attribute, macro or block."""
    if isinstance(node, nodes.Keyword):
        return (str(node.key),)
    if isinstance(node, nodes.NSRef):
        return (node.attr,)
    if isinstance(node, nodes.Macro | nodes.Block):
        return (node.name,)
    return (node.name,) if isinstance(node, nodes.Name) and node.ctx != "load" else ()


def _inspect_name(name: str, where: str, findings: Findings, *, is_called: bool) -> None:
    if name in names.GATEWAYS:
        findings.add("template.gateway", "error", f"It reaches into {name}, {names.GATEWAYS[name]}.", where)
    elif name in names.CALLABLES and not is_called:
        text = f"It uses {name}, {names.CALLABLES[name]}, for something other than calling it."
        findings.add("template.gateway", "error", text, where)
