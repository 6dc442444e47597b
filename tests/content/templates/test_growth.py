import pytest

from weighbridge.content.templates.inspection import Template, inspect


def look(text: str) -> list[str]:
    return sorted({finding.rule for finding in inspect(Template(text, "t"))})


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{% for i in range(0, 999999999999, 1) %}{% endfor %}",
        "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{% for j in range(10000) %}{% endfor %}{% endmacro %}"
        "{% for i in range(10000) %}{{ m() }}{% endfor %}",
        "{{ range(10 ** 30) | list }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ [0] * 999999999 }}",
        "{{ 10 ** 1000000000 }}",
        "{{ 'a' | center(10 ** 9) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ lipsum(n=1000000000) }}",
        "{% macro m(n) %}{{ m(n - 1) }}{{ m(n - 1) }}{% endmacro %}{{ m(9) }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(messages) }}",
        "{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set s = 'aa' %}" + "{% set s = s + s %}" * 40,
    ],
)
def test_what_never_ends_is_an_error(text: str) -> None:
    assert look(text) == ["template.endless"]


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(1000) %}{% for j in range(100) %}{% endfor %}{% endfor %}",
        "{{ '-' * 80 }}{{ 2 ** 10 }}{{ 'a' | center(40) }}{{ '%5d' | format(1) }}{{ '{:>10}'.format(1) }}",
        "{{ '%5d' % 1 }}{{ 7 % 100000 }}",
        "{% macro m(x) %}{{ x.name }}{% for y in x.children %}{{ m(y) }}{% endfor %}{% endmacro %}{{ m(messages[0]) }}",
        "{% macro m(x) %}{{ m(x['items']) }}{{ m({'type': x.type}) }}{% endmacro %}{{ m(tools[0]) }}",
        "{% macro a(x) %}{{ b(x.y) }}{% endmacro %}{% macro b(x) %}{{ a(x.z) }}{% endmacro %}{{ a(tools[0]) }}",
        "{% set s = 'a' %}{% set s = s ~ s %}{{ s }}",
        "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ m.content %}{% endfor %}",
        "".join(
            f"{{% macro m{at}() %}}{''.join(f'{{{{ m{to}() }}}}' for to in range(at + 1, at + 20))}{{% endmacro %}}"
            for at in range(60)
        ),
    ],
)
def test_what_ends_is_no_finding(text: str) -> None:
    assert look(text) == []
