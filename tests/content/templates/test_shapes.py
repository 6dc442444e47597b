"""What real models' templates do is no finding, alone and together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.templates.shapes import SHAPES
from weighbridge.content.templates.inspection import Template, inspect


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_of_a_real_template_is_no_finding(shape: str) -> None:
    assert inspect(Template(shape, "t")) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(SHAPES), min_size=2, max_size=4, unique=True))
def test_shapes_together_are_no_finding(shapes: list[str]) -> None:
    assert inspect(Template("\n".join(shapes), "t")) == ()
