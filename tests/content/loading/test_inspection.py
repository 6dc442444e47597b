import base64
import json
import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.loading.samples import KEYS
from weighbridge.content.loading import inspection, requirements
from weighbridge.content.loading.inspection import inspect_value

#: Keys that layouts look for.
WORDS = """
_class_name _diffusers_version type_hint type path name idx types structure flavors loader_module code entry_points
command model modelName handler weightsManifest paths dependencies channels python build run python_version project tool
uv index url source packages dataset_reader pip env
"""
TEXTS = st.sampled_from(["", "a.b", "os.system", "../x", "evil/x--m.C", "http://127.0.0.1/", "\ud800", "-e", "x" * 50])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
NAMES = st.sampled_from([*KEYS, *WORDS.split()]) | st.integers()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5))


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_any_value_is_inspected_without_an_exception(value: Any) -> None:
    for finding in inspect_value(value):
        assert finding.message.isascii()
        assert finding.message.endswith(".")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abc-=/:@.;[] \n\t\\#'\"<>~+", max_size=60))
def test_any_requirement_is_read_without_an_exception(text: str) -> None:
    list(requirements.rulings(text))
    requirements.is_requirements(text)


def test_texts_that_are_pickles_are_found_wherever_they_are() -> None:
    hostile = base64.b64encode(pickle.dumps(print)).decode()
    for value in ({"policy": hostile}, {"a": ["x", hostile]}, {"a": [{"b": hostile}]}, {"a": "cos\nsystem\n)R."}):
        assert [(found.rule, found.level) for found in inspect_value(value)] == [("pickle.embedded", "error")]
    harmless = base64.b64encode(pickle.dumps({"a": [1, 2, 3]})).decode()
    assert inspect_value({"a": harmless, "b": "It is a sentence, which is long.\n" * 9, "c": "iVBORw0K" * 9}) == ()


def test_half_a_million_merges_are_counted_and_not_walked(monkeypatch: Any) -> None:
    value = json.loads(json.dumps({"model": {"merges": [["a", "b"]] * 1000, "vocab": {"_target_": 3}}}))
    assert inspect_value(value) == ()
    monkeypatch.setattr(inspection, "MAX_VALUES", 500)
    assert [(found.rule, found.level) for found in inspect_value(value)] == [("config.limit", "error")]
