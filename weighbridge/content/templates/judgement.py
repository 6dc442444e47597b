"""Judging the names by which a template reaches for things: subscripts, attributes, filters, format strings.

Not here: what a name may be (expressions) and which names lead out (names).
"""

from __future__ import annotations

from jinja2 import nodes

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.templates import names
from weighbridge.content.templates.memory import FORMAT
from weighbridge.content.templates.values import Kind, Value

_MADE_UP = "whose name is made up while the template runs; it may lead to Python's internals"


class TemplateJudgement:
    """Collects what is wrong with the names of one template, once `listening`."""

    def __init__(self, key: str, findings: Findings) -> None:
        """Judge for the template under `key`."""
        self.listening = False
        self._key = key
        self._findings = findings

    def subscript(self, key: Value, receiver: Value, node: nodes.Node) -> None:
        """Judge `receiver[key]`: an item, or else the attribute of that name."""
        for text in key.texts:
            if names.leads_out(text, item=True):
                self._internals(text, node)
            self._format_by_name(text, receiver, node)
        if key.kinds & (Kind.MADE | Kind.GIVEN):
            self._add("template.dynamic-attribute", f"It looks up an item {_MADE_UP}.", node)
        elif Kind.DATA in key.kinds and _is_no_data(receiver):
            text = "It looks up an item of something other than data, by a name from the messages."
            self._add("template.dynamic-attribute", text, node)

    def attribute(self, name: Value, receiver: Value, node: nodes.Node) -> None:
        """Judge an attribute that a filter fetches by name."""
        for text in name.texts:
            if names.leads_out(text):
                self._internals(text, node)
            self._format_by_name(text, receiver, node)
        if name.kinds & (Kind.MADE | Kind.GIVEN | Kind.DATA):
            self._add("template.dynamic-attribute", f"It fetches an attribute {_MADE_UP}.", node)

    def operation(self, name: Value, node: nodes.Node) -> None:
        """Judge the name of a filter or test that is applied to every element."""
        if name.kinds & (Kind.MADE | Kind.GIVEN | Kind.DATA) or name.places:
            self._add("template.dynamic-attribute", f"It applies a filter or test {_MADE_UP}.", node)

    def format(self, receiver: Value, arguments: Value, node: nodes.Node) -> None:
        """Judge `receiver.format(arguments)`."""
        self._format_fields(receiver, node)
        unknown = receiver.kinds & (Kind.MADE | Kind.GIVEN)
        if unknown or (Kind.DATA in receiver.kinds and Kind.OBJECT in arguments.kinds):
            text = "It formats with a text that is made up while the template runs; its fields may be anything."
            self._add("template.dynamic-attribute", text, node)

    def call(self, callee: Value, node: nodes.Node) -> None:
        """Judge a call of a method that was fetched before."""
        if FORMAT in callee.places:
            text = "It calls the method format of a text by another way than text.format(…)."
            self._add("template.dynamic-attribute", text, node)

    def _format_by_name(self, name: str, receiver: Value, node: nodes.Node) -> None:
        if name == "format":
            self._format_fields(receiver, node)

    def _format_fields(self, receiver: Value, node: nodes.Node) -> None:
        for text in receiver.texts:
            if field := names.reached_by_format(text):
                self._internals(field, node)

    def _internals(self, name: str, node: nodes.Node) -> None:
        text = f"It reaches for {quoted(name)}, which leads to Python's internals."
        self._add("template.internals", text, node)

    def _add(self, rule: str, text: str, node: nodes.Node) -> None:
        if self.listening:
            self._findings.add(rule, "error", text, f"{self._key}:{node.lineno}")


def _is_no_data(receiver: Value) -> bool:
    """Return whether a value is, or may be, a function, or is only a text of the template's own."""
    return Kind.OBJECT in receiver.kinds or (receiver.textual and not receiver.from_outside and not receiver.places)
