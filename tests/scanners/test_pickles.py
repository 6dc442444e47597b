"""Every pickle in every container; nothing is ever loaded."""

import collections
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulators import samples
from weighbridge.archives import Limits
from weighbridge.digest import Digest
from weighbridge.formats import detect_file
from weighbridge.pickles import engines, opcodes
from weighbridge.report import ScanReport
from weighbridge.scanners.interface import Subject
from weighbridge.scanners.pickles import PickleScanner


def subject(path: Path) -> Subject:
    content = path.read_bytes()
    return Subject(Digest.sha256(content), path, len(content), path.name, detect_file(path.name, path))


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., ScanReport]:
    def run(content: bytes, name: str = "model.bin", limits: Limits | None = None) -> ScanReport:
        path = tmp_path / name
        path.write_bytes(content)
        wanted = subject(path)
        scanner = PickleScanner(limits)
        assert scanner.accepts(wanted)
        return scanner.scan(wanted)

    return run


def errors(report: ScanReport) -> list[str]:
    return [finding.rule for finding in report.findings if finding.level == "error"]


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_found_in_every_protocol(scan: Callable[..., ScanReport], protocol: int) -> None:
    report = scan(samples.malicious_pickle(protocol))
    # Our own list, picklescan and fickling all say so.
    assert errors(report) == ["pickle.global"] * 3
    assert report.status == "completed"


CONTAINERS = {
    "model.bin": lambda evil, _: samples.torch_zip(evil),
    "renamed.pt": lambda evil, _: samples.torch_zip(evil, "archive/weights.png"),
    "legacy.pt": lambda evil, _: samples.legacy_torch(evil),
    "model.ckpt": lambda evil, _: evil,
    "weights.dat": lambda evil, _: evil,
    "model.zip": lambda evil, _: samples.zip_of({"a": samples.zip_of({"b": samples.torch_zip(evil)})}),
    "model.7z": lambda evil, folder: samples.seven_zip_of(folder, {"a.pkl": evil}),
    "model.tar.gz": lambda evil, _: samples.tar_of({"a/b.pkl": evil}, "w:gz"),
    "model.tar.xz": lambda evil, _: samples.tar_of({"a/b.pkl": evil}, "w:xz"),
    "model.joblib": lambda evil, _: zlib.compress(evil),
    "model.pkl": lambda evil, _: pickle.dumps({"clean": 1}) + evil,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_code_is_found_in_every_container(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    report = scan(CONTAINERS[name](samples.malicious_pickle(2), tmp_path), name)
    assert "pickle.global" in errors(report)


def test_code_in_an_array_of_objects_is_found(scan: Callable[..., ScanReport]) -> None:
    assert errors(scan(samples.malicious_npy(), "weights.npy"))
    assert errors(scan(samples.zip_of({"a.npy": samples.malicious_npy()}), "weights.npz"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.bin", samples.torch_zip(samples.state_dict_pickle())),
        ("legacy.pt", samples.legacy_torch(samples.state_dict_pickle())),
        ("plain.pkl", pickle.dumps(collections.OrderedDict(a=[1, 2.0, "x", b"y", {3}]))),
        ("array.pkl", pickle.dumps(np.arange(3))),
        ("numbers.npy", samples.npy_of(np.arange(1000))),
        ("arrays.npz", samples.zip_of({"a.npy": samples.npy_of(np.arange(10))})),
        ("noise.bin", bytes(range(32, 250)) * 40),
        ("vocab.txt", b"the\nquick\nbrown\nfox.\n" * 50),
    ],
)
def test_what_tensors_need_is_harmless(scan: Callable[..., ScanReport], name: str, content: bytes) -> None:
    report = scan(content, name)
    assert report.status == "completed"
    assert not [finding for finding in report.findings if finding.level != "note"]


BYPASSES = [
    ("timeit", "timeit"), ("idlelib.pyshell", "ModifiedInterpreter"), ("pip", "main"), ("cProfile", "run"),
    ("numpy.testing._private.utils", "runstring"), ("torch._inductor.codecache", "compile_file"), ("pickle", "loads"),
    ("builtins", "getattr"), ("builtins", "eval"), ("functools", "partial"), ("operator", "attrgetter"),
    ("ctypes", "CDLL"), ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    ("collections", "OrderedDict.__init__.__globals__"), ("lib2to3.pgen2.grammar", "Grammar.loads"),
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("module", "name"), BYPASSES)
def test_known_bypasses_are_errors(scan: Callable[..., ScanReport], module: str, name: str, protocol: int) -> None:
    assert "pickle.global" in errors(scan(samples.malicious_global(module, name, protocol)))


def test_what_nobody_knows_is_a_warning(scan: Callable[..., ScanReport]) -> None:
    report = scan(samples.malicious_global("some_company.layers", "Layer"))
    assert {finding.rule: finding.level for finding in report.findings} == {"pickle.unknown-global": "warning"}


def test_disagreement_is_shown(scan: Callable[..., ScanReport]) -> None:
    report = scan(pickle.dumps(np.arange(3)))  # fickling calls every use of numpy unsafe.
    (finding,) = report.findings
    assert (finding.rule, finding.level) == ("pickle.disagreement", "note")
    assert all(name in finding.message for name in engines.ENGINES)


def test_a_name_computed_while_loading_is_an_error(scan: Callable[..., ScanReport]) -> None:
    # STACK_GLOBAL over what REDUCE returned.
    computed = b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93\x8c\x04true\x85R."
    assert "pickle.global" in errors(scan(computed))


def test_a_pickle_that_breaks_after_its_code_is_not_clean(scan: Callable[..., ScanReport]) -> None:
    report = scan(samples.malicious_pickle(2)[:-1] + b"\xff\xff")
    assert errors(report)
    assert report.status == "partial"


def test_a_memoised_name_is_followed(scan: Callable[..., ScanReport]) -> None:
    evil = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R."
    assert "pickle.global" in errors(scan(evil))


def test_encrypted_content_is_not_covered(scan: Callable[..., ScanReport]) -> None:
    report = scan(samples.encrypted_zip(), "model.zip")
    assert (report.status, report.bytes_covered) == ("partial", 0)


def test_a_bomb_is_not_covered(scan: Callable[..., ScanReport]) -> None:
    report = scan(samples.zip_bomb(8 * 1024 * 1024), "model.zip", Limits(free_size=1024 * 1024))
    assert report.status == "partial"
    assert "archive.bomb" in report.reason


def test_a_compressed_bomb_is_not_covered(scan: Callable[..., ScanReport]) -> None:
    report = scan(zlib.compress(bytes(8 * 1024 * 1024)), "model.joblib", Limits(free_size=1024 * 1024, max_ratio=2))
    assert report.status == "partial"


def test_a_long_argument_is_skipped_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    path.write_bytes(pickle.dumps([b"x" * 5_000_000, "y" * 5_000_000], protocol=5))
    with open(path, "rb") as file:
        walked = opcodes.walk(file, path.stat().st_size)
    assert walked.stopped
    assert walked.end == path.stat().st_size


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_no_bytes_break_the_walk(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    with open(path, "rb") as file:
        walked = opcodes.walk(file, len(content))
    assert walked.stopped or walked.problem


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
       lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)),
       protocol=st.integers(0, 5))  # fmt: skip
def test_plain_values_are_walked_to_their_end(tmp_path: Path, value: object, protocol: int) -> None:
    path = tmp_path / "value.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    with open(path, "rb") as file:
        walked = opcodes.walk(file, path.stat().st_size)
    assert (walked.stopped, walked.problem, walked.end) == (True, "", path.stat().st_size)
