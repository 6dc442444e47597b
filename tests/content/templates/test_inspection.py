import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules
from weighbridge.content.templates.inspection import MAX_TEMPLATE_LENGTH, Template, inspect

CHATML = """{%- if tools %}{{ tools | tojson(indent=4) }}{% endif -%}
{% set ns = namespace(last=0, system='') %}
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ bos_token }}{% endif %}
{{ '<|im_start|>' + message['role'] + '\\n' }}{% generation %}{{ message.content | trim }}{% endgeneration %}
{{ '<|im_end|>' + '\\n' }}{% if loop.index0 > 3 %}{% break %}{% endif %}{% endfor %}
{%- for message in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{%- endfor %}
{% macro render(item) %}{{ item.function.name ~ '(' ~ item['arguments'] ~ ')' }}{% endmacro %}
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | join('__') }}
{% if not add_generation_prompt is defined %}{{ raise_exception('<__media__> none') }}{% endif %}
{{ strftime_now('%d %b %Y') }}{% for i in range(10) %}{% for j in range(x) %}.{% endfor %}{% endfor %}"""


def look(text: str) -> list[str]:
    return sorted(set(rules(inspect(Template(text, "chat_template")))))


def test_a_usual_template_gives_nothing() -> None:
    assert look(CHATML) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages['__class__'] }}",
        "{{ messages | attr('__class__') }}",
        "{{ messages | attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
        "{{ messages | map(attribute='__init__.__globals__') | list }}",
        "{{ messages | groupby('__class__') }}",
        "{{ messages | sort(attribute='__class__') }}",
        "{{ '{0.__globals__}'.format(raise_exception) }}",
        "{{ self._TemplateReference__context }}",
        "{{ (messages | list).gi_frame }}",
        "{% set x = '__builtins__' %}",
        "{% macro a() %}{{ caller.__code__ }}{% endmacro %}",
    ],
)
def test_reaching_for_pythons_internals_is_an_error(text: str) -> None:
    assert "template.internals" in look(text)


@pytest.mark.parametrize("text", ["{{ cycler.next }}", "{{ lipsum.os.popen('id') }}", "{{ config.items() }}"])
def test_gateways_are_errors(text: str) -> None:
    assert "template.gateway" in look(text)


@pytest.mark.parametrize(
    "text", ["{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}"]
)
def test_loading_other_templates_is_an_error(text: str) -> None:
    assert look(text) == ["template.include"]


@pytest.mark.parametrize(
    "text",
    [
        "{% nothing %}",
        "{{",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "-" * 20_000 + "1 }}",
        "{% if x %}" * 3000 + "{% endif %}" * 3000,
        "{{ 1" + "0" * 5000 + " }}",
        "{{ a" + ".b" * 50_000 + " }}",
    ],
    ids=["tag", "open", "brackets", "minus", "blocks", "number", "chain"],
)
def test_what_cannot_be_parsed_is_said_so(text: str) -> None:
    assert look(text) == ["template.invalid"]


def test_a_template_that_is_too_long_is_an_error() -> None:
    assert look("x" * (MAX_TEMPLATE_LENGTH + 1)) == ["template.too-large"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["{{", "}}", "{%", "%}", " x ", ".__class__", "|attr(", ")", "'", "for i in ", "range("])
        | st.text(max_size=4),
        max_size=12,
    ).map("".join)
)
def test_any_text_never_raises(text: str) -> None:
    look(text)
