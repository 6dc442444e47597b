"""Members of archives get the checks of files: what is an error bare is one inside, at any depth."""

import gzip
import io
import lzma
import pickle
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import numpy as np
import pytest

from tests.content.headers.samples import TWO, external, gguf, onnx_model, pair, safetensors
from tests.simulators import samples
from weighbridge.content.archives import walk
from weighbridge.content.detection import detect_file
from weighbridge.content.examination import Item, examine
from weighbridge.content.members import MemberExaminer
from weighbridge.domain.report import Finding

ELF = b"\x7fELF\2\1\1" + bytes(60)
TEMPLATE = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
HOSTILE = {
    "lib.so": ELF,
    "Main.class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(20),
    "start.hta": b"<script></script>",
    "x.pyc": b"\xa7\r\r\n" + bytes(12) + b"\xe3" + bytes(60),
    "no-suffix": b"\xa7\r\r\n" + bytes(12) + b"\xe3" + bytes(60),
    "config.json": b'{"a": }',
    "chat_template.jinja": TEMPLATE.encode(),
    "m.gguf": gguf([pair("tokenizer.chat_template", TEMPLATE)]),
    "m.onnx": onnx_model([external("../../etc/passwd")]).SerializeToString(),
    "m.safetensors": safetensors({"a": TWO}, bytes(7)),
    "x.yaml": b"a: !!python/object/apply:os.system [id]",
    "x.bin": b"\xff\xd8\xff\xe0" + bytes(508) + b"\x89HDF\r\n\x1a\n" + bytes(40),
    "far.jpg": (b"\xff\xd8\xff\xe0".ljust(2**20) + b"\x89HDF\r\n\x1a\n").ljust(2**20 + 8000),
    "end.jpg": b"\xff\xd8\xff\xe0" + bytes(9000) + b"\x20\0\0\0PAR1",
}


@pytest.fixture
def findings(tmp_path: Path) -> Callable[[bytes], list[Finding]]:
    def run(content: bytes) -> list[Finding]:
        path = tmp_path / "archive"
        path.write_bytes(content)
        return list(_findings(path))

    return run


def _findings(path: Path) -> Iterator[Finding]:
    with MemberExaminer() as examiner:
        for member in walk(path):
            yield from examiner.examine(member).findings


PACKED: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": samples.zip_of,
    "tar": samples.tar_of,
    "tar.gz": lambda members: samples.tar_of(members, "w:gz"),
    "tar.lzma": lambda members: lzma.compress(samples.tar_of(members), lzma.FORMAT_ALONE),
    "zip in tar": lambda members: samples.tar_of({"inner.zip": samples.zip_of(members)}),
    "gz in zip": lambda members: samples.zip_of({"a.tar.gz": gzip.compress(samples.tar_of(members))}),
    "br in zip": lambda members: samples.zip_of({"a.tar.br": brotli.compress(samples.tar_of(members))}),
}


def _bare(folder: Path, name: str) -> set[str]:
    path = folder / "bare"
    path.write_bytes(HOSTILE[name])
    check = examine(Item(name, path, len(HOSTILE[name]), detect_file(name, path)))
    return {finding.rule for finding in check.findings if finding.level == "error"}


@pytest.mark.parametrize("packed", PACKED)
def test_what_is_an_error_bare_is_one_inside(
    findings: Callable[[bytes], list[Finding]], tmp_path: Path, packed: str
) -> None:
    errors: dict[str, set[str]] = {}
    for finding in findings(PACKED[packed](HOSTILE)):
        if finding.level == "error":
            errors.setdefault(finding.location.split("!")[-1].split(":")[0], set()).add(finding.rule)
    assert errors == {name: _bare(tmp_path, name) for name in HOSTILE}
    assert all(errors.values())


def test_places_tell_what_content_does_not(findings: Callable[[bytes], list[Finding]]) -> None:
    random = np.random.default_rng(1)
    storages = {f"archive/data/{key}": random.normal(0, 0.02, 64).astype("<f2").tobytes() for key in range(300)}
    plain = {"archive/version": b"3\n", "archive/byteorder": b"little", "archive/data.pkl": pickle.dumps({})}
    assert findings(samples.zip_of({**plain, **storages})) == []
    assert findings(samples.zip_of({"archive/code/__torch__/m.py": b"def forward(self): ...\n"})) == []
    assert {finding.rule for finding in findings(samples.zip_of({"data.bin": bytes(range(256))}))} == {"format.unknown"}


def test_a_member_that_is_run_by_its_name(findings: Callable[[bytes], list[Finding]]) -> None:
    found = findings(
        samples.zip_of({"handler.py": b"import os\n", "code/inference.py": b"x = 1\n", "a/b.py": b"y = 1\n"})
    )
    named = {(finding.location, finding.level) for finding in found if finding.rule == "code.run-by-name"}
    assert named == {("handler.py", "error"), ("code/inference.py", "warning")}


def test_a_header_is_read_though_its_tensors_are_not_written(findings: Callable[[bytes], list[Finding]]) -> None:
    content = safetensors(
        {"a": {"dtype": "U8", "shape": [3_000_000], "data_offsets": [0, 3_000_000]}}, bytes(3_000_000)
    )
    assert findings(samples.tar_of({"model.safetensors": content})) == []
    assert findings(samples.tar_of({"model.safetensors": content[:-1]})) != []


@pytest.mark.parametrize("packed", ["zip", "tar.gz"])
def test_the_format_of_a_member_is_that_of_the_file(tmp_path: Path, packed: str) -> None:
    long = pickle.dumps([{"a": number} for number in range(5000)], 0)
    members = {
        "words.txt": b"words\n" * 2000 + b"\0\xff" * 2000,
        "numbers.bin": long,
        "numbers.pkl": pickle.dumps([1.5] * 5000, 2),
        "cut.bin": pickle.dumps(["x" * 9000])[:-1] + b"\xff",
        "w.dat": b"x\x9c" + np.random.default_rng(2).bytes(9000),
        "config.json": b'{"a": "' + b"x" * 9000,
        **{f"{size}.txt": b"a" * size for size in (4095, 4096, 4097)},
    }
    (path := tmp_path / "archive").write_bytes(PACKED[packed](members))
    formats = {member.name: member.format for member in walk(path)}
    for name, content in members.items():
        (file := tmp_path / name).write_bytes(content)
        assert formats[name] == detect_file(name, file), name


def test_one_temporary_file_serves_members_of_any_size(findings: Callable[[bytes], list[Finding]]) -> None:
    members = {"long.json": b'{"a": "' + b"x" * 100_000 + b'"}', "short.json": b"{}", "empty.json": b""}
    assert findings(samples.zip_of(members)) == []


@pytest.mark.parametrize(
    ("links", "level"),
    [
        ([("m/latest", tarfile.SYMTYPE, "checkpoint-10")], "note"),
        ([("m/a/config.json", tarfile.SYMTYPE, "../checkpoint-10/config.json")], "note"),
        ([("m/config.json", tarfile.LNKTYPE, "m/checkpoint-10/config.json")], "note"),
        ([("m/latest", tarfile.SYMTYPE, "../../etc")], "error"),
        ([("m/latest", tarfile.SYMTYPE, "/etc")], "error"),
        ([("m/w.bin", tarfile.LNKTYPE, "../outside.bin")], "error"),
        ([("m/latest", tarfile.SYMTYPE, "checkpoint-10/../../..")], "error"),
        ([("m/config.json", tarfile.SYMTYPE, "notes.txt")], "error"),
        ([("m/a", tarfile.SYMTYPE, "checkpoint-10"), ("m/a/b", tarfile.SYMTYPE, "c")], "error"),
    ],
)
def test_links_that_stay_are_notes(tmp_path: Path, links: list[tuple[str, bytes, str]], level: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("m/checkpoint-10/config.json")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"{}"))
        for name, kind, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    path = tmp_path / "a.tar"
    path.write_bytes(buffer.getvalue())
    found = walk(path)
    list(found)
    levels = {problem.level for problem in found.problems}
    assert {problem.rule for problem in found.problems} == {"archive.link"}
    assert ("error" in levels) == (level == "error")
