"""No disguise of a name passes that Jinja, without its sandbox, sees through."""

import pytest
from hypothesis import given, settings
from jinja2 import Environment, TemplateError

from tests.content.templates.disguises import OF_A_NAME, OF_AN_EXPRESSION, SINKS, templates
from weighbridge.content.templates.inspection import Template, inspect

_JINJA = Environment(extensions=["jinja2.ext.loopcontrols"])


def _raise(message: str) -> str:
    raise TemplateError(message)


def reaches_a_class(text: str) -> bool:
    """Whether a template prints a class when it is rendered as careless tools do."""
    try:
        shown = _JINJA.from_string(text).render(
            messages=[{"role": "user", "content": "Hello"}],
            bos_token="<s>",
            raise_exception=_raise,
            strftime_now=str,
        )
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError):
        return False
    return "<class " in shown or "&lt;class " in shown


def is_rejected(text: str) -> bool:
    return any(finding.level == "error" for finding in inspect(Template(text, "t")))


@pytest.mark.parametrize("disguise", OF_A_NAME)
def test_a_disguise_works_and_is_rejected(disguise: str) -> None:
    statements, expression = OF_A_NAME[disguise]("__class__", "va")
    text = statements + SINKS["subscript"](expression)
    assert reaches_a_class(text)
    assert is_rejected(text)


@pytest.mark.parametrize("place", OF_AN_EXPRESSION)
@pytest.mark.parametrize("name", ["'__cl' ~ 'ass__'", "'__ssalc__'|reverse"])
def test_where_a_name_is_kept_does_not_matter(place: str, name: str) -> None:
    statements, expression = OF_AN_EXPRESSION[place](f"({name})", "w")
    text = statements + SINKS["subscript"](expression)
    assert reaches_a_class(text)
    assert is_rejected(text)


@pytest.mark.parametrize("sink", SINKS)
def test_a_sink_works_and_is_rejected(sink: str) -> None:
    text = SINKS[sink]("('__cl' ~ 'ass__')")
    assert reaches_a_class(text)
    assert is_rejected(text)


@settings(max_examples=400, deadline=None)
@given(templates())
def test_whatever_reaches_a_class_is_rejected(text: str) -> None:
    assert is_rejected(text) or not reaches_a_class(text)
