import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.content.headers.samples import rules, write
from weighbridge.content.headers import hdf5
from weighbridge.content.headers.config import inspect_config
from weighbridge.content.headers.hdf5 import Hdf5Header
from weighbridge.content.headers.keras import KerasHeader, inspect, is_configuration, read_archive

DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}
FOREIGN = {"module": "os", "class_name": "system", "config": {}}
CUSTOM = {"module": None, "class_name": "Mine", "registered_name": "Custom>Mine", "config": {}}


def config(*layers: dict[str, Any]) -> str:
    return json.dumps({"module": "keras", "class_name": "Sequential", "config": {"layers": list(layers)}})


def weights_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.0"
        file.attrs["model_config"] = text
        file.create_dataset("weights", data=[1.0, 2.0])
    return path


def archive(folder: Path, text: str, **more: str) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {"metadata.json": "{}", "config.json": text, **more}.items():
            file.writestr(name, content)
    return path


def layer(module: str | None, class_name: str, /, **settings: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": settings, "registered_name": None}


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (DENSE, []),
        (LAMBDA, ["keras.lambda"]),
        (FOREIGN, ["keras.foreign-code"]),
        (CUSTOM, ["keras.custom-layer"]),
    ],
)
def test_layers_are_found_in_both_kinds_of_file(tmp_path: Path, layer: dict[str, Any], expected: list[str]) -> None:
    for header in (read_archive(archive(tmp_path, config(layer))), hdf5.read(weights_file(tmp_path, config(layer)))):
        assert header.is_keras
        assert sorted(set(rules(header.findings))) == expected
        assert header.bytes_read == len(config(layer))


def test_configurations_stored_as_bytes_and_in_old_lambda_form(tmp_path: Path) -> None:
    old = json.dumps({"config": {"function": ["4wEAAA=="], "function_type": "lambda"}})
    assert rules(hdf5.read(weights_file(tmp_path, old.encode())).findings) == ["keras.lambda"]


def test_hdf5_without_a_configuration_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=[1])
    assert hdf5.read(path) == Hdf5Header()


@pytest.mark.parametrize("cut", [8, 100, 600])
def test_broken_hdf5_is_a_failure_and_not_clean(tmp_path: Path, cut: int) -> None:
    content = weights_file(tmp_path, config(LAMBDA)).read_bytes()[:cut]
    assert hdf5.read(write(tmp_path, content, "cut.h5")).failure


def test_other_archives_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", config(LAMBDA))
    assert read_archive(path) == KerasHeader()


def test_broken_archives_are_failures(tmp_path: Path) -> None:
    assert read_archive(write(tmp_path, b"PK\3\4" + bytes(100), "x.keras")).failure
    content = bytearray(archive(tmp_path, config(LAMBDA)).read_bytes())
    at = content.index(b"config.json") + 20
    content[at : at + 8] = bytes(8)
    assert read_archive(write(tmp_path, bytes(content), "y.keras")).failure


def test_a_bomb_of_a_configuration_is_not_unpacked(tmp_path: Path) -> None:
    assert "more than" in read_archive(archive(tmp_path, "[" + " " * 9_000_000 + "]")).failure


def test_a_configuration_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    assert rules(read_archive(archive(tmp_path, "[" * 10_000)).findings) == ["config.invalid"]


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (function("builtins", "exec"), "keras.function"),
        (function("builtins", "not a name"), "keras.function"),
        (function("keras.utils", "get_file"), "keras.function"),
        (function("keras.config", "enable_unsafe_deserialization"), "keras.function"),
        (function("keras.src.saving", "load_model"), "keras.function"),
        (function("keras.losses", "deserialize"), "keras.function"),
        (function("os", "system"), "keras.function"),
        (function("keras.activations", "relu") | {"registered_name": "get"}, "keras.function"),
        (layer("keras.utils", "get_file"), "keras.function"),
        (layer("keras.src.utils.file_utils", "Progbar"), "keras.function"),
        (layer("keras.callbacks", "ModelCheckpoint"), "keras.function"),
        (layer("builtins", "Dense"), "keras.foreign-code"),
        (layer("kerasx.layers", "Dense"), "keras.foreign-code"),
        (layer("keras.layers", "TFSMLayer", filepath="served"), "keras.loads"),
        (layer(None, "TorchModuleWrapper", module="UEsDBA=="), "keras.loads"),
        (layer("tensorflow_hub", "KerasLayer", handle="https://tfhub.dev/x/1"), "keras.loads"),
        (layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"), "keras.reads-file"),
        (layer("keras.layers", "TextVectorization", vocabulary="http://127.0.0.1/v"), "keras.reads-file"),
        (layer("keras_hub.tokenizers", "BytePairTokenizer", vocabulary="../../v.json"), "keras.reads-file"),
        (layer(None, "TFOpLambda", function="io.write_file"), "keras.function"),
        (layer(None, "TFOpLambda", function="raw_ops.ReadFile"), "keras.function"),
        (layer(None, "TFOpLambda", function=None), "keras.function"),
        (layer(None, "TensorFlowOpLayer", node_def='{"name": "w", "op": "WriteFile"}'), "keras.function"),
        (
            {"class_name": "__typespec__", "spec_name": "system", "module": "os", "config": [], "registered_name": ""},
            "keras.foreign-code",
        ),
    ],
)
def test_what_a_loader_would_call_load_or_read_is_an_error_at_any_depth(entry: dict[str, Any], rule: str) -> None:
    deep = layer("keras.layers", "Bidirectional", layer=layer("keras.layers", "LSTM", inner=[{"x": entry}]))
    found = inspect({"class_name": "Functional", "config": {"layers": [deep]}})
    assert {finding.rule for finding in found if finding.level == "error"} >= {rule}


HARMLESS = [
    layer("keras.layers", "StringLookup", vocabulary=["a", "b"], max_tokens=None),
    layer("keras.layers", "StringLookup", vocabulary=None),
    layer("keras.layers", "CategoryEncoding", num_tokens=3),
    layer("keras.src.models.functional", "Functional", layers=[]),
    layer("tf_keras.src.engine.functional", "Functional", layers=[]),
    layer(
        "keras_hub.src.models.bert.bert_backbone",
        "BertBackbone",
        dtype={"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None},
    ),
    layer("keras.optimizers.schedules", "CosineDecay", initial_learning_rate=0.1),
    layer("keras.src.ops.numpy", "Add"),
    layer("keras.initializers", "GlorotUniform", seed=None),
    layer("keras.utils", "FeatureSpace", features={}),
    layer("keras.layers", "Activation", activation=function("keras.activations", "gelu")),
    layer("keras.layers", "Dense", activation=function("builtins", "relu")),
    layer("keras.layers", "Dense", activation="softmax", kernel_initializer={"class_name": "Zeros", "config": {}}),
    layer(None, "TFOpLambda", function="math.add"),
    layer(None, "TFOpLambda", function="__operators__.getitem"),
    layer("keras.layers", "Dense", name="/conv1/relu"),
    {"class_name": "__numpy__", "config": {"value": [1], "dtype": "float32"}},
    {
        "class_name": "__typespec__",
        "spec_name": "TensorSpec",
        "module": "tensorflow.python.framework.tensor_spec",
        "config": [[None], "float32"],
        "registered_name": None,
    },
]


@pytest.mark.parametrize("entry", HARMLESS, ids=lambda entry: entry["class_name"])
def test_parts_of_models_are_no_findings(entry: dict[str, Any]) -> None:
    assert inspect({"class_name": "Sequential", "config": {"layers": [entry]}}) == ()


@pytest.mark.parametrize("entry", [CUSTOM, function("builtins", "my_loss")])
def test_what_needs_code_that_the_loader_must_bring_is_a_warning(entry: dict[str, Any]) -> None:
    assert [(finding.rule, finding.level) for finding in inspect([entry])] == [("keras.custom-layer", "warning")]


def test_a_vocabulary_beside_the_model_is_a_warning() -> None:
    found = inspect(layer("keras.layers", "IntegerLookup", vocabulary="vocab.txt"))
    assert [(finding.rule, finding.level) for finding in found] == [("keras.reads-file", "warning")]


def test_a_configuration_of_keras_is_known_by_its_keys() -> None:
    assert is_configuration(layer("keras", "Sequential"))
    assert is_configuration({"class_name": "Model", "config": {}, "keras_version": "2.15.0"})
    assert is_configuration({"format": "layers-model", "modelTopology": {"model_config": {}}})
    assert not is_configuration({"class_name": "x"})
    assert not is_configuration({"model_type": "llama", "backend": "x"})
    assert not is_configuration([])


def test_json_files_are_judged_as_keras_where_they_are_such() -> None:
    found = inspect_config({"class_name": "Sequential", "module": "keras", "config": {"layers": [LAMBDA]}})
    assert "keras.lambda" in rules(found)
    assert inspect_config({"class_name": "Lambda", "other": {}}) == ()
