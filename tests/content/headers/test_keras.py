import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.keras import KerasHeader, read_archive, read_hdf5

DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}
FOREIGN = {"module": "os", "class_name": "system", "config": {}}
CUSTOM = {"module": None, "class_name": "Mine", "registered_name": "Custom>Mine", "config": {}}


def config(*layers: dict[str, Any]) -> str:
    return json.dumps({"module": "keras", "class_name": "Sequential", "config": {"layers": list(layers)}})


def hdf5(folder: Path, text: str | bytes) -> Path:
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
    for header in (read_archive(archive(tmp_path, config(layer))), read_hdf5(hdf5(tmp_path, config(layer)))):
        assert header.is_keras
        assert sorted(set(rules(header.findings))) == expected
        assert header.bytes_read == len(config(layer))


def test_configurations_stored_as_bytes_and_in_old_lambda_form(tmp_path: Path) -> None:
    old = json.dumps({"config": {"function": ["4wEAAA=="], "function_type": "lambda"}})
    assert rules(read_hdf5(hdf5(tmp_path, old.encode())).findings) == ["keras.lambda"]


def test_hdf5_without_a_configuration_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=[1])
    assert read_hdf5(path) == KerasHeader()


@pytest.mark.parametrize("cut", [8, 100, 600])
def test_broken_hdf5_is_a_failure_and_not_clean(tmp_path: Path, cut: int) -> None:
    content = hdf5(tmp_path, config(LAMBDA)).read_bytes()[:cut]
    assert read_hdf5(write(tmp_path, content, "cut.h5")).failure


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
