"""Every pickle in every container; nothing is ever loaded."""

import bz2
import collections
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.pickles import assembled as a
from tests.content.pickles.test_machine_noise import walked_of
from tests.simulators import samples
from weighbridge.config.policy_file import load_policy
from weighbridge.content.archives import Limits
from weighbridge.content.detection import detect_file
from weighbridge.content.pickles import engines, machine
from weighbridge.content.pickles.globals import classify
from weighbridge.content.pickles.streams import Search
from weighbridge.content.pickles.symbols import Import
from weighbridge.domain.digest import Digest
from weighbridge.domain.report import ScanReport
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
    "model": lambda evil, _: zlib.compress(evil),
    "model.pkl.bz2": lambda evil, _: bz2.compress(evil),
    "data.zip": lambda evil, _: samples.zip_of({"a.dat": zlib.compress(evil)}),
    "wrong-checksum.bin": lambda evil, _: samples.torch_zip(evil).replace(
        zlib.crc32(evil).to_bytes(4, "little"), b"bad!"
    ),
    "zip-behind.bin": lambda evil, _: pickle.dumps(1) + samples.torch_zip(evil),
    "tar-and-pickle.pkl": lambda evil, _: samples.tar_that_is_a_pickle(),
    "long.pkl": lambda evil, _: evil[:2] + b"X" + struct.pack("<I", 9_000_000) + bytes(9_000_000) + b"0" + evil[2:],
    "model.pkl": lambda evil, _: pickle.dumps({"clean": 1}) + evil,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_code_is_found_in_every_container(scan: Callable[..., ScanReport], tmp_path: Path, name: str) -> None:
    report = scan(CONTAINERS[name](samples.malicious_pickle(2), tmp_path), name)
    assert "pickle.global" in errors(report)


def test_code_in_an_array_of_objects_is_found(scan: Callable[..., ScanReport]) -> None:
    assert errors(scan(samples.malicious_npy(), "weights.npy"))
    assert errors(scan(samples.zip_of({"a.npy": samples.malicious_npy()}), "weights.npz"))


ARRAYS = {
    "type": np.dtype("f8"),
    "numbers": np.arange(1000.0),
    "objects": np.array([{"x": 1}, "text", np.arange(3)], dtype=object),
    "structured": np.zeros((3, 4), order="F", dtype=[("a", "f4"), ("b", "U3")]),
    "scalar": np.array(5),
    "dates": np.array(["2026-01-01"], dtype="M8[D]"),
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.bin", samples.torch_zip(samples.state_dict_pickle())),
        ("legacy.pt", samples.legacy_torch(samples.state_dict_pickle())),
        ("plain.pkl", pickle.dumps(collections.OrderedDict(a=[1, 2.0, "x", b"y", {3}]))),
        ("array.pkl", pickle.dumps(np.arange(3))),
        ("numbers.npy", samples.npy_of(np.arange(1000))),
        ("arrays.npz", samples.zip_of({"a.npy": samples.npy_of(np.arange(10))})),
        ("training.pkl", pickle.dumps({"paths": [Path("a")], "when": None, "random": np.random.RandomState(1)})),
        ("newest.pkl", pickle.dumps({"a": np.arange(3), "r": np.random.default_rng(), "b": bytearray(9)}, protocol=5)),
        ("arrays.joblib", samples.joblib_of(ARRAYS)),
        ("arrays-zlib.joblib", samples.joblib_of(ARRAYS, 3)),
        ("arrays-gzip.joblib", samples.joblib_of(ARRAYS, ("gzip", 3))),
        ("fields.npy", samples.npy_of(np.zeros(3, dtype=[("Offset", "<f4"), ("O", "<i8", (2,))]))),
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
    ("torch.storage", "_load_from_bytes"), ("torch", "load"), ("numpy", "load"), ("pandas", "read_pickle"),
    ("uuid", "_get_command_stdout"), ("imaplib", "IMAP4_stream"), ("_osx_support", "_read_output"),
    ("dataclasses", "_create_fn"), ("random", "_os"), ("commands", "getoutput"), ("__builtin__", "execfile"),
    ("urllib", "urlopen"), ("distutils.file_util", "write_file"), ("some_company", "__loader__"),
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
def test_known_bypasses_are_errors(scan: Callable[..., ScanReport], protocol: int) -> None:
    report = scan(b"".join(samples.malicious_global(*bypass, protocol) for bypass in BYPASSES), "model.pkl")
    ours = [found for found in report.findings if found.message.startswith("globals says dangerous")]
    assert {found.rule for found in ours} == {"pickle.global"}
    for module, name in BYPASSES:
        assert any(f"{module}.{name}" in found.message for found in ours)


def test_what_nobody_knows_is_an_error_with_the_waiver_that_lets_it_in(
    scan: Callable[..., ScanReport], tmp_path: Path
) -> None:
    content = samples.malicious_global("some_company.layers", "Layer")
    (found,) = [found for found in scan(content).findings if found.level != "note"]
    assert (found.rule, found.level) == ("pickle.unknown-global", "error")
    waiver = found.message[found.message.index("{") :].replace("…", "x", 2).replace("…", "2027-01-31")
    path = tmp_path / "policy.yaml"
    path.write_text(f"extends: standard\nname: mine\nwaivers:\n- {waiver}\n")
    (kept,) = load_policy(str(path), tmp_path).waivers
    assert (kept.rule, kept.files) == ("pickle.unknown-global", str(Digest.sha256(content)))


def test_disagreement_is_shown(scan: Callable[..., ScanReport]) -> None:
    report = scan(pickle.dumps(np.arange(3)))  # fickling calls every use of numpy unsafe.
    (finding,) = report.findings
    assert (finding.rule, finding.level) == ("pickle.disagreement", "note")
    assert all(name in finding.message for name in engines.ENGINES)


ESCAPED = {
    "string": b"\x80\x04S'\\x6f\\x73'\nS'system'\n\x93(S'true'\ntR.",
    "unicode": b"\x80\x04V\\u006fs\nVsystem\n\x93(S'true'\ntR.",
    "inst": b"(S'true'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'true'\no.",
    "duplicate": b"\x80\x04\x8c\x02os2\x94\x8c\x06system\x93\x8c\x04true\x85R.",
    "memo": b"\x80\x04\x8c\x02osr\x00\x00\x00\x800\x8c\x06system\x940j\x00\x00\x00\x80h\x01\x93\x8c\x04true\x85R.",
    "extension": b"\x80\x02\x82\x01)R.",
    "long name": b"\x80\x04X" + struct.pack("<I", 70_000) + b"o" * 70_000 + b"\x8c\x06system\x93)R.",
}


@pytest.mark.parametrize("name", ESCAPED)
def test_a_name_is_followed_whatever_it_is_written_as(scan: Callable[..., ScanReport], name: str) -> None:
    report = scan(ESCAPED[name], "model.pkl")
    assert any(found.rule == "pickle.global" and found.message.startswith("globals") for found in report.findings)


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


def test_code_among_the_arrays_of_joblib_is_found(scan: Callable[..., ScanReport]) -> None:
    evil = samples.calling(os.system, "true")
    objects = {"first": np.arange(9.0), "objects": np.array([evil], dtype=object)}
    for content in (samples.joblib_of([np.arange(9.0), evil]), samples.joblib_of(objects)):
        report = scan(content, "model.joblib")
        assert errors(report) == ["pickle.global"] * 3
        assert report.status == "completed"


def test_an_array_that_is_code_to_other_unpicklers_is_found(scan: Callable[..., ScanReport]) -> None:
    """joblib goes past an array's bytes; `pickle.load` runs them."""
    code = b"cos\nsystem\n(S'true'\ntR."
    content = samples.joblib_of(np.frombuffer(code, dtype="u1"))
    padding = content.index(code)
    # The padding's length and the padding itself have to be opcodes for this to run; here they are.
    built = content.rindex(b"b", 0, padding)
    content = content[: built + 1] + b"0" + b"N0" * 24 + code + content[padding + len(code) :]
    assert walked_of(content).stopped
    assert Import("os", "system") in walked_of(content).imports


@pytest.mark.parametrize(("place", "value"), [(6, 9), (9, 200), (21, ord("?")), (22, ord("Y"))])
def test_an_array_whose_header_lies_is_not_clean(scan: Callable[..., ScanReport], place: int, value: int) -> None:
    content = bytearray(samples.malicious_npy())
    content[place] = value
    report = scan(bytes(content), "weights.npy")
    assert errors(report) or report.status == "partial"


def test_what_claims_to_be_a_pickle_and_is_none_is_not_clean(scan: Callable[..., ScanReport]) -> None:
    report = scan(b"\x04\x22\x4d\x19 some other compression", "model.pkl")
    assert (report.status, report.bytes_covered) == ("partial", 0)


def test_an_engine_that_breaks_is_named_and_rejects_only_what_we_could_not_read_either(
    scan: Callable[..., ScanReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_FICKLING_LIMITS", engines.sandbox.ReadingLimits(wall_time_s=0.01))
    whole = pickle.dumps(collections.OrderedDict(a=1))
    report = scan(whole, "model.pkl")
    assert report.status == "completed"
    assert [(found.rule, found.level) for found in report.findings if "fickling could not" in found.message] == [
        ("pickle.engine", "warning")
    ]
    assert scan(whole[:-1], "model.pkl").status == "partial"


def test_an_alarm_of_another_engine_on_what_is_listed_is_a_warning(scan: Callable[..., ScanReport]) -> None:
    """Python 3.11 pickled members of enums so, and the others alarm on every `getattr`."""
    enum = a.called("builtins", "getattr", a.named("transformers.trainer_utils", "SchedulerType"), a.text("LINEAR"))
    report = scan(a.whole(enum), "training_args.bin")
    assert report.status == "completed"
    assert {found.level for found in report.findings if found.rule == "pickle.engine"} == {"warning"}
    assert not errors(report)
    assert "pickle.objects" in {found.rule for found in report.findings}


def test_tensors_and_plain_values_are_no_objects_whatever_holds_them(scan: Callable[..., ScanReport]) -> None:
    plain = samples.state_dict_pickle()
    for content, name in (
        (samples.torch_zip(plain), "model.bin"),
        (samples.legacy_torch(plain), "model.pt"),
        (samples.joblib_of({"a": np.arange(3)}), "a.joblib"),
        (samples.zip_of({"m.bin": samples.torch_zip(plain)}), "a.zip"),
    ):
        assert "pickle.objects" not in {found.rule for found in scan(content, name).findings}


def test_a_pickle_too_large_for_the_others_is_judged_by_its_globals(scan: Callable[..., ScanReport]) -> None:
    content = pickle.dumps([*range(machine.MAX_COPY_OPCODES), samples.calling(os.system, "true")])
    report = scan(content, "model.pkl")
    assert errors(report) == ["pickle.global"]
    assert report.status == "completed"
    assert any("not asked" in found.message for found in report.findings)


def test_many_pickles_are_judged_and_too_many_said(
    scan: Callable[..., ScanReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weighbridge.content.pickles.streams.MAX_PICKLES", 700)
    report = scan(pickle.dumps(1) * 650 + samples.malicious_pickle(), "model.pkl")
    assert (errors(report), report.status) == (["pickle.global"] * 3, "completed")
    assert scan(pickle.dumps(1) * 701, "model.pkl").status == "partial"


def test_a_flood_of_globals_hides_no_error(scan: Callable[..., ScanReport]) -> None:
    flood = b"".join(samples.malicious_global("company.layers", f"Layer{number}", 2) for number in range(150))
    report = scan(flood + samples.malicious_pickle(2), "model.pkl")
    assert errors(report).count("pickle.global") == 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1, max_size=300), name=st.sampled_from(["a.pkl", "a.bin", "a.npy", "a.zip", "a"]))
def test_no_bytes_break_a_scan(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    wanted = subject(path)
    report = PickleScanner().scan(wanted)
    assert report.bytes_covered <= report.bytes_total
    assert (report.status == "completed") == (not report.reason)


def test_no_change_of_one_byte_of_an_archive_hides_its_code(tmp_path: Path) -> None:
    """Where Python still unpacks the member, the search finds its code or says that it could not look."""
    changes = random.Random(11)
    evil = samples.malicious_pickle(2)
    whole = samples.zip_of({"archive/data.pkl": evil}, zipfile.ZIP_DEFLATED)
    path = tmp_path / "model.pt"
    read = 0
    for _ in range(600):
        content = bytearray(whole)
        content[changes.randrange(len(content))] = changes.randrange(256)
        path.write_bytes(content)
        search = Search(path, detect_file(path.name, path))
        globals_ = {found for stream in search for found in stream.walked.imports}
        seen = any(classify(found) == "dangerous" for found in globals_) or search.unread
        try:
            with zipfile.ZipFile(path) as archive:
                same = archive.read(archive.namelist()[0]) == evil
        except Exception:  # noqa: BLE001 (changed archives break in every way)
            continue
        read += same
        assert seen or not same
    assert read > 100


def loaded_by_torch(content: bytes) -> bytes:
    """A pickle as `pickle.dumps` writes a tensor: a file of torch's in the bytes of a call that loads it."""
    held = b"B" + struct.pack("<I", len(content)) + content
    return a.whole(a.named("torch.storage", "_load_from_bytes") + a.several(held) + b"R")


def test_a_tensor_in_a_plain_pickle_passes(scan: Callable[..., ScanReport]) -> None:
    torch = pytest.importorskip("torch")
    report = scan(pickle.dumps({"w": torch.ones(3), "b": torch.zeros(2, dtype=torch.bfloat16)}), "model.pkl")
    assert (report.status, errors(report)) == ("completed", [])
    assert "pickle.objects" not in {found.rule for found in report.findings}


@pytest.mark.parametrize(
    "held",
    {
        "zip": samples.torch_zip(samples.malicious_pickle(2)),
        "legacy": samples.legacy_torch(samples.malicious_pickle(2)),
        "plain": samples.malicious_pickle(2),
        "within another": loaded_by_torch(samples.torch_zip(samples.malicious_pickle(2))),
        "unknown": samples.torch_zip(samples.malicious_global("company.layers", "Layer", 2)),
        "much too deep": loaded_by_torch(loaded_by_torch(loaded_by_torch(loaded_by_torch(loaded_by_torch(b"N."))))),
        "no file": b"\x80\x02c",
    }.items(),
    ids=lambda one: one[0],
)
def test_a_file_that_torch_loads_from_a_pickle_is_judged_itself(
    scan: Callable[..., ScanReport], held: tuple[str, bytes]
) -> None:
    for content, name in (
        (loaded_by_torch(held[1]), "m.pkl"),
        (samples.zip_of({"m": loaded_by_torch(held[1])}), "a.zip"),
    ):
        report = scan(content, name)
        assert errors(report) or report.status != "completed"
