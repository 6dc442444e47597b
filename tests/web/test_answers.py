"""Documents are written as JSON in UTF-8, whatever a publisher's text holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weighbridge.web.answers import body_of, written


@pytest.mark.parametrize(
    "document",
    [{"a": [1, None, True, 0.5, "ü\u2028\0"]}, {"n": 2**80}, {"n": -(2**63)}, {"n": 1e300}, [], "x" * 10_000],
)
def test_a_document_is_read_as_it_was(document: Any) -> None:
    assert json.loads(written(document)) == document


def test_half_a_sign_is_a_question_mark() -> None:
    assert written({"description": "a \ud800 b", "n": 2**70}) == b'{"description":"a ? b","n":1180591620717411303424}'


def test_equal_documents_have_one_tag() -> None:
    assert body_of({"a": 1}).etag == body_of({"a": 1}).etag != body_of({"a": 2}).etag
