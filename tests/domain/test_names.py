"""Which names a model may have: those that a command, a path, a URL and a list can all say."""

import re

import pytest

from weighbridge.domain.names import FORBIDDEN, PATTERN, checked_name
from weighbridge.errors import InvalidName

GOOD = [
    "tiny",
    "org/name",
    "registry.example.com:5000/team/model-7b",
    "Größe-½",
    "模型/七",
    "my model (1)",
    "a+b=c~d",
    "v1.0",
    ".hidden",
    "x" * 255,
]
BAD = [
    "",
    "../x",
    "a/../b",
    "..",
    ".",
    "./x",
    "/x",
    "x/",
    "a//b",
    "a b@1.0",
    "a\nb",
    "a\tb",
    "a\x00b",
    "a\x1b[31mb",
    "a\u202eb",
    "a\u200bb",
    "a\ud800b",
    " a",
    "a ",
    "a/ b",
    "-rf",
    "--all",
    "x" * 256,
    "é" * 128,
    *(f"a{sign}b" for sign in FORBIDDEN),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_can_be_addressed_is_taken(name: str) -> None:
    assert checked_name(name) == name
    assert re.match(PATTERN, name)


@pytest.mark.parametrize("name", BAD)
def test_any_other_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(InvalidName, match="--name") as refused:
        checked_name(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", BAD)
def test_a_form_refuses_no_name_that_is_taken(name: str) -> None:
    assert re.match(PATTERN, "")
    if not re.match(PATTERN, name):
        with pytest.raises(InvalidName):
            checked_name(name)
