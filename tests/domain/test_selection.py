"""Tests of domain.selection: which files the options `files` and `exclude` take."""

import pytest

from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.errors import ModelNotFound

NAMES = ("config.json", "model.safetensors", "onnx/model.onnx", "onnx/deep/weights.bin", "odd[1].bin")


@pytest.mark.parametrize(
    ("files", "exclude", "kept"),
    [
        ((), (), set(NAMES)),
        (("config.json",), (), {"config.json"}),
        (("*.bin",), (), {"onnx/deep/weights.bin", "odd[1].bin"}),
        (("onnx/",), (), {"onnx/model.onnx", "onnx/deep/weights.bin"}),
        (("odd[1].bin",), (), {"odd[1].bin"}),  # a name counts before a glob
        ((), ("onnx/", "*.json"), {"model.safetensors", "odd[1].bin"}),
        (("onnx/",), ("*.bin",), {"onnx/model.onnx"}),
    ],
)
def test_names(files: tuple[str, ...], exclude: tuple[str, ...], kept: set[str]) -> None:
    selection = Selection(files, exclude)
    assert selection.of_names(NAMES, "The model") == kept
    assert {name for name in NAMES if selection.takes(name)} == kept


def test_a_pattern_without_a_match_names_the_files() -> None:
    with pytest.raises(ModelNotFound, match=r"The model has no file “\*\.gguf”\. It has config\.json"):
        Selection(("config.json", "*.gguf")).of_names(NAMES, "The model")


def test_upper_and_lower_case_count() -> None:
    with pytest.raises(ModelNotFound):
        Selection(("CONFIG.JSON",)).of_names(NAMES, "The model")


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(ModelNotFound, match="is excluded"):
        Selection((), ("*",)).of_names(NAMES, "the model")


def test_the_options_of_a_reference_are_read() -> None:
    selection = Selection.of(ModelRef.parse("hf:org/name?files=./a.json&files=*.bin&exclude=onnx/"))
    assert selection == Selection(("*.bin", "a.json"), ("onnx/",))
    assert not Selection.of(ModelRef.parse("hf:org/name"))


def test_hostile_names_are_not_shown() -> None:
    with pytest.raises(ModelNotFound) as error:
        Selection(("b",)).of_names(["a\x1b[31m"], "The model")
    assert "\x1b" not in str(error.value)
