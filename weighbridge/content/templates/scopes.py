"""Scopes of a template: variables of loops, macros, calls and `with` are distinguished from others of the same name.

What `set` binds is left under its name: in a loop it is forgotten afterwards, so that taking it for the outer variable
only adds possibilities. Not here: what the variables hold (memory).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from jinja2 import nodes

#: Between a name and the number of its scope; no name of Jinja's has it.
_MARK = "#"


def separate(tree: nodes.Template) -> None:
    """Rename, in the tree, every variable that belongs to a scope of its own; `spelled` gives the name back."""
    _Scopes().rename(tree, {})


def spelled(name: str) -> str:
    """Return a name as the template spells it."""
    return name.partition(_MARK)[0]


class _Scopes:
    def __init__(self) -> None:
        self._numbers = count(1)

    def rename(self, node: nodes.Node, scope: dict[str, str]) -> None:
        """Rename what a node holds, as seen from a scope."""
        if isinstance(node, nodes.Name | nodes.NSRef):
            node.name = scope.get(node.name, node.name)
        elif isinstance(node, nodes.For):
            inner = self._opened([node.target], scope)
            self._all([node.iter, *node.else_], scope)
            self._all([node.target, *([node.test] if node.test else []), *node.body], inner)
        elif isinstance(node, nodes.Macro):
            node.name = scope.get(node.name, node.name)
            self._all([*node.args, *node.defaults, *node.body], self._opened(node.args, scope))
        elif isinstance(node, nodes.CallBlock):
            self.rename(node.call, scope)
            self._all([*node.args, *node.defaults, *node.body], self._opened(node.args, scope))
        elif isinstance(node, nodes.With):
            self._all(node.values, scope)
            self._all([*node.targets, *node.body], self._opened(node.targets, scope))
        else:
            self._all(node.iter_child_nodes(), scope)

    def _all(self, found: Iterable[nodes.Node], scope: dict[str, str]) -> None:
        for node in found:
            self.rename(node, scope)

    def _opened(self, targets: Iterable[nodes.Node], scope: dict[str, str]) -> dict[str, str]:
        names = [
            name.name
            for target in targets
            for name in [target, *target.find_all(nodes.Name)]
            if isinstance(name, nodes.Name)
        ]
        number = next(self._numbers)
        return {**scope, **{name: f"{name}{_MARK}{number}" for name in names}}
