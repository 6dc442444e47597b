import base64
import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.content.headers.samples import rules, write
from weighbridge.content.headers import hdf5

SYSTEM = b"cos\nsystem\n(S'id'\ntR."
LIBVERS = pytest.mark.parametrize("libver", ["earliest", "latest"])


def made(folder: Path, libver: str, fill: Any) -> Path:
    path = folder / "file.h5"
    with h5py.File(path, "w", libver=libver) as file:
        fill(file)
    return path


@LIBVERS
@pytest.mark.parametrize("count", [1, 40], ids=["in the header", "in a heap"])
def test_links_to_other_files_are_errors(tmp_path: Path, libver: str, count: int) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("a").create_group("b")
        for number in range(count):
            group[f"link{number}"] = h5py.ExternalLink("/etc/passwd", "/x")

    found = hdf5.read(made(tmp_path, libver, fill))
    assert found.failure == ""
    assert set(rules(found.findings)) == {"hdf5.external"}
    assert "'/etc/passwd'" in found.findings[0].message
    assert len(found.findings) == count


@LIBVERS
def test_datasets_stored_elsewhere_are_errors(tmp_path: Path, libver: str) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("raw", (4,), dtype="u1", external=[("/etc/passwd", 0, 4)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/other.h5", "x", (4,))
        file.create_group("inner").create_virtual_dataset("virtual", layout)

    found = hdf5.read(made(tmp_path, libver, fill))
    assert sorted(finding.location for finding in found.findings) == ["/inner/virtual", "/raw"]


@LIBVERS
def test_what_models_hold_is_no_finding(tmp_path: Path, libver: str) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", data=np.zeros((3, 4), "f4"), chunks=(1, 4), compression="gzip")
        group["soft"] = h5py.SoftLink("/layers")
        file["hard"] = group
        file.attrs["compound"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])
        file.attrs["words"] = np.array([b"dense/kernel:0", b"dense/bias:0"])
        for number in range(20):
            file.attrs[f"more{number}"] = f"A sentence that ends in a full stop, number {number}."
        file.attrs["sentence"] = np.bytes_("It is a model.")

    assert hdf5.read(made(tmp_path, libver, fill)) == hdf5.Hdf5Header()


@LIBVERS
def test_configurations_of_any_group_are_judged(tmp_path: Path, libver: str) -> None:
    config = json.dumps({"class_name": "Lambda", "config": {}})
    found = hdf5.read(
        made(tmp_path, libver, lambda file: file.create_group("inner").attrs.update({"model_config": config}))
    )
    assert rules(found.findings) == ["keras.lambda"]
    assert found.is_keras
    assert found.bytes_read == len(config)


@LIBVERS
def test_attributes_that_pytables_unpickles_are_judged_as_pickles(tmp_path: Path, libver: str) -> None:
    def fill(file: h5py.File) -> None:
        file.create_group("x").attrs["harmful"] = np.bytes_(SYSTEM)
        file.attrs["harmless"] = np.bytes_(pickle.dumps({"a": [1.5, "b"]}, 0))

    found = hdf5.read(made(tmp_path, libver, fill))
    assert [(finding.rule, finding.level, finding.location) for finding in found.findings] == [
        ("pickle.embedded", "error", "/x@harmful")
    ]


def test_rows_of_objects_are_judged_as_pickles(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        rows = file.create_dataset("rows", (2,), dtype=h5py.vlen_dtype(np.uint8))
        rows[0], rows[1] = np.frombuffer(pickle.dumps(["a"]), np.uint8), np.frombuffer(SYSTEM, np.uint8)
        rows.attrs["PSEUDOATOM"] = np.bytes_("object")

    assert rules(hdf5.read(made(tmp_path, "earliest", fill)).findings) == ["pickle.embedded"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_group("a")["root"] = file["/"]

    assert hdf5.read(made(tmp_path, "earliest", fill)).failure == ""


def test_what_cannot_be_read_to_its_end_is_a_failure(tmp_path: Path) -> None:
    path = made(tmp_path, "latest", lambda file: file.create_group("a").create_group("b"))
    content = path.read_bytes()
    assert hdf5.read(write(tmp_path, content.replace(b"OHDR", b"XXXX"), "x.h5")).failure
    assert hdf5.read(write(tmp_path, content[:100], "y.h5")).failure


@LIBVERS
def test_configurations_and_encoded_pickles_of_attributes_are_judged(tmp_path: Path, libver: str) -> None:
    def fill(file: h5py.File) -> None:
        file.attrs["settings"] = json.dumps({"_target_": "os.system"})
        file.create_group("a").attrs["state"] = base64.b64encode(b"\x80\x02" + SYSTEM).decode()
        file.attrs["names"] = json.dumps(["a", "b"])
        file.attrs["text"] = "A sentence ends so."

    found = hdf5.read(made(tmp_path, libver, fill))
    assert sorted(rules(found.findings)) == ["config.dangerous-target", "pickle.embedded"]
