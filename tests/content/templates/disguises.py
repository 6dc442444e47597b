"""Ways to make up a name while a template runs: each takes a name and returns statements and an expression for it.

What they are for is harmless here: the name of a class is the worst that is ever printed.
"""

from collections.abc import Callable

from hypothesis import strategies as st

Disguise = Callable[[str, str], tuple[str, str]]


def _halves(name: str) -> tuple[str, str]:
    return name[: len(name) // 2], name[len(name) // 2 :]


def _letters(name: str) -> str:
    return ", ".join(repr(letter) for letter in name)


#: By what they do: from a text and a variable's name of its own to (statements, expression).
OF_A_NAME: dict[str, Disguise] = {
    "plain": lambda name, _: ("", repr(name)),
    "escapes": lambda name, _: ("", "'" + "".join(f"\\x{ord(letter):02x}" for letter in name) + "'"),
    "tilde": lambda name, _: ("", "({!r} ~ {!r})".format(*_halves(name))),
    "plus": lambda name, _: ("", "({!r} + {!r})".format(*_halves(name))),
    "joined list": lambda name, _: ("", f"([{_letters(name)}]|join)"),
    "joined by a method": lambda name, _: ("", f"''.join([{_letters(name)}])"),
    "reversed": lambda name, _: ("", f"({name[::-1]!r}|reverse)"),
    "sliced backwards": lambda name, _: ("", f"{name[::-1]!r}[::-1]"),
    "replaced": lambda name, _: ("", f"({name.replace('_', '-')!r}|replace('-', '_'))"),
    "replaced by a method": lambda name, _: ("", f"{name.replace('s', '5')!r}.replace('5', 's')"),
    "percent": lambda name, _: ("", "('%s%s'|format({!r}, {!r}))".format(*_halves(name))),
    "percent operator": lambda name, _: ("", "('%s%s' % ({!r}, {!r}))".format(*_halves(name))),
    "code points": lambda name, _: ("", f"('{'%c' * len(name)}'|format({', '.join(str(ord(c)) for c in name)}))"),
    "format": lambda name, _: ("", "'{{}}{{}}'.format({!r}, {!r})".format(*_halves(name))),
    "lower": lambda name, _: ("", f"({name.upper()!r}|lower)"),
    "padded": lambda name, _: ("", f"'xx{name}yy'[2:-2]"),
    "trimmed": lambda name, _: ("", f"('  {name} '|trim)"),
    "split": lambda name, _: ("", f"'a,{name}'.split(',')[1]"),
    "last of": lambda name, _: ("", f"(['a', {name!r}]|last)"),
    "keyword": lambda name, _: ("", f"(dict({name}=1)|join)"),
    "key": lambda name, _: ("", f"({{{name!r}: 1}}|list|first)"),
    "dashed keyword": lambda name, _: ("", f"(dict(x{name}=1)|list|first)[1:]"),
    "cycler": lambda name, _: ("", f"cycler({name!r}).next()"),
    "joiner": lambda name, _: ("", f"joiner({name!r}).sep"),
    "condition": lambda name, _: ("", f"({name!r} if messages else 'role')"),
    "default": lambda name, _: ("", f"(nothing|default({name!r}))"),
    "batch": lambda name, _: ("", f"([{name!r}]|batch(1)|list)[0][0]"),
    "mapped": lambda name, _: ("", f"([{name[::-1]!r}]|map('reverse')|list)[0]"),
    "clock": lambda name, _: ("", f"strftime_now({name!r})"),
    "special token": lambda name, _: ("", f"(bos_token|replace('<s>', {name!r}))"),
    "set block": lambda name, v: (f"{{% set {v} %}}{name}{{% endset %}}", v),
    "filtered block": lambda name, v: (f"{{% set {v} | reverse %}}{name[::-1]}{{% endset %}}", v),
    "macro": lambda name, v: (f"{{% macro {v}() %}}{name}{{% endmacro %}}", f"{v}()"),
    "name of a macro": lambda name, v: (f"{{% macro {v}{name}() %}}{{% endmacro %}}", f"{v}{name}.name[{len(v)}:]"),
    "loop": lambda name, v: (
        f"{{% set {v} = namespace(x='') %}}"
        f"{{% for c in [{_letters(name)}] %}}{{% set {v}.x = {v}.x ~ c %}}{{% endfor %}}",
        f"{v}.x",
    ),
    "appended": lambda name, v: (f"{{% set {v} = [] %}}{{% set _ = {v}.append({name!r}) %}}", f"{v}[0]"),
    "data": lambda name, v: (f"{{% set _ = messages.append({name!r}) %}}", "messages[-1]"),
    "pairs": lambda name, v: (
        f"{{% set {v} = namespace() %}}"
        f"{{% for k, w in {{'a': {name!r}}}.items() %}}{{% set {v}.w = w %}}{{% endfor %}}",
        f"{v}.w",
    ),
}
#: Around an expression: where it is kept before it is used.
OF_AN_EXPRESSION: dict[str, Disguise] = {
    "as it is": lambda expression, _: ("", expression),
    "variable": lambda expression, v: (f"{{% set {v} = {expression} %}}", v),
    "namespace": lambda expression, v: (f"{{% set {v} = namespace(k={expression}) %}}", f"{v}.k"),
    "dict": lambda expression, v: (f"{{% set {v} = {{'k': {expression}}} %}}", f"{v}['k']"),
    "nested list": lambda expression, v: (f"{{% set {v} = [[{expression}]] %}}", f"{v}[0][0]"),
    "string": lambda expression, _: ("", f"({expression}|string)"),
    "or": lambda expression, _: ("", f"(none or {expression})"),
    "trim": lambda expression, _: ("", f"({expression}|trim)"),
    "first of": lambda expression, _: ("", f"([{expression}]|first)"),
    "unpacked": lambda expression, v: (f"{{% set {v}, {v}b = ({expression}, 1) %}}", v),
}
#: From an expression that names `__class__` to a template that prints the class of a text.
SINKS: dict[str, Callable[[str], str]] = {
    "subscript": lambda name: f"{{{{ ''[{name}] }}}}",
    "subscript of data": lambda name: f"{{{{ messages[{name}] }}}}",
    "subscript of a function": lambda name: f"{{{{ raise_exception[{name}] }}}}",
    "attr": lambda name: f"{{{{ ''|attr({name}) }}}}",
    "map attribute": lambda name: f"{{{{ ['']|map(attribute={name})|list }}}}",
    "map attr": lambda name: f"{{{{ ['']|map('attr', {name})|list }}}}",
    "map attr by name": lambda name: f"{{{{ ['']|map('rtta'|reverse, {name})|list }}}}",
    "groupby": lambda name: f"{{{{ ['']|groupby({name}) }}}}",
    "sum": lambda name: f"{{% for c in ['']|map(attribute={name}) %}}{{{{ c }}}}{{% endfor %}}",
    "format": lambda name: f"{{{{ ('{{0.' ~ {name} ~ '}}').format('') }}}}",
    "format by attr": lambda name: f"{{{{ (('{{0.' ~ {name} ~ '}}')|attr('format'))('') }}}}",
    "format kept": lambda name: f"{{% set f = ('{{0.' ~ {name} ~ '}}').format %}}{{{{ f('') }}}}",
    "macro": lambda name: f"{{% macro s(k) %}}{{{{ ''[k] }}}}{{% endmacro %}}{{{{ s({name}) }}}}",
    "caller": lambda name: (
        "{% macro s() %}{{ caller(" + name + ") }}{% endmacro %}{% call(k) s() %}{{ ''[k] }}{% endcall %}"
    ),
    "varargs": lambda name: "{% macro s() %}{{ ''[varargs[0]] }}{% endmacro %}{{ s(" + name + ") }}",
    "loop": lambda name: f"{{% for k in [{name}] %}}{{{{ ''[k] }}}}{{% endfor %}}",
    "with": lambda name: f"{{% with k = {name} %}}{{{{ ''[k] }}}}{{% endwith %}}",
    "filter block": lambda name: f"{{% filter attr({name})|string %}}x{{% endfilter %}}",
}


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Draw a template that prints a class, whose name it makes up by ways drawn at random."""
    statements, expression = OF_A_NAME[draw(st.sampled_from(sorted(OF_A_NAME)))]("__class__", "va")
    for step in range(draw(st.integers(0, 3))):
        more, expression = OF_AN_EXPRESSION[draw(st.sampled_from(sorted(OF_AN_EXPRESSION)))](expression, f"w{step}")
        statements += more
    return statements + SINKS[draw(st.sampled_from(sorted(SINKS)))](expression)
