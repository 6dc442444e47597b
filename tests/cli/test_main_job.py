"""The main job as a user runs it: the command line, real clamd, real catalog, real registry."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.conftest import README, SAFETENSORS, Bench
from tests.simulators import samples
from tests.simulators.web import WebServer
from weighbridge.scanners.clamd.database import eicar


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def test_a_clean_model_gets_in(bench: Bench) -> None:
    ran = bench.run("ingest", bench.model(), "--json")
    assert ran.status == 0
    version = ran.json
    promised = "name version status manifest_digest source files reports card decision published"
    assert set(promised.split()) <= set(version)
    assert (version["name"], version["version"], version["status"]) == ("tiny", "1.0.0", "PASSED")
    assert [file["path"] for file in version["files"]] == ["README.md", "config.json", "model.safetensors"]
    by_scanner = {report["scanner"] for report in version["reports"]}
    assert by_scanner == {"archives", "clamav", "formats", "pickles"}
    clamav = [report for report in version["reports"] if report["scanner"] == "clamav"]
    assert all(report["bytes_covered"] == report["bytes_total"] for report in clamav)
    assert version["card"]["architecture"]["value"] == "llama"
    assert version["card"]["licence"]["value"] == "Apache-2.0"
    assert [published["registry"] for published in version["published"]] == ["export"]


def test_the_report_is_for_people(bench: Bench) -> None:
    ran = bench.run("ingest", bench.model())
    for words in ("PASSED", "apache", "clamav", "Published", "under the policy house"):
        assert words.lower() in ran.out.lower()


def test_an_unchanged_model_reads_no_blob(bench: Bench) -> None:
    uri = bench.model()
    first = bench.run("ingest", uri, "--json").json
    store = bench.home / "store" / "blobs"
    for path in store.rglob("*"):
        if path.is_file():  # Nobody who reads one could tell its format now, or get its content.
            path.chmod(0o644)
            path.write_bytes(b"?" * path.stat().st_size)
    assert bench.run("ingest", uri, "--json").json == first


def test_the_lines_that_load_a_model_are_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    load = bench.run("ingest", bench.model(), "--json").json["published"][0]["load"]
    monkeypatch.setenv("COLUMNS", "40")
    shown = bench.run("show", "tiny").out.splitlines()
    assert all(line in shown for line in load)


def test_again_costs_nothing(bench: Bench, web: WebServer) -> None:
    url = web.put("/model.gguf.bin", SAFETENSORS)
    first = bench.run("ingest", url, "--json").json
    asked = len(web.requests)
    second = bench.run("ingest", url, "--json").json
    assert second == first
    assert len(web.requests) - asked <= 2
    assert all(request.method == "HEAD" for request in web.requests[asked:])


def test_a_signed_address_is_not_logged(bench: Bench, web: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    web.put("/signed/model.bin?Signature=s3cret", SAFETENSORS)
    web.pages["/signed/model.bin"] = web.pages["/signed/model.bin?Signature=s3cret"]
    url = web.redirect("/model.bin", web.url("/signed/model.bin?Signature=s3cret"))
    caplog.set_level("INFO")
    ran = bench.run("-v", "ingest", url, "--json")
    assert ran.status == 0, ran.err
    assert "s3cret" not in ran.out + ran.err + caplog.text


def test_changed_weights_are_a_minor_version(bench: Bench) -> None:
    uri = bench.model()
    assert bench.run("ingest", uri, "--json").json["version"] == "1.0.0"
    bench.model(model__safetensors=SAFETENSORS[:-1] + b"\xff")
    assert bench.run("ingest", uri, "--json").json["version"] == "1.1.0"
    bench.model(model__safetensors=SAFETENSORS[:-1] + b"\xff", README__md=README + b"more\n")
    assert bench.run("ingest", uri, "--json").json["version"] == "1.1.1"


def test_malware_is_quarantined(bench: Bench) -> None:
    ran = bench.run("ingest", bench.model(notes__txt=b"see " + eicar()), "--json")
    assert ran.status == 2
    assert ran.json["status"] == "FAILED"
    assert ran.json["published"] == []
    assert "clamav.signature" in [reason["rule"] for reason in ran.json["decision"]["reasons"]]
    assert len(bench.blobs()) == 4
    assert bench.run("export", "tiny", str(bench.folder / "out")).status == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytorch_model.bin", samples.torch_zip(samples.malicious_pickle(2))),
        ("model.ckpt", samples.malicious_pickle(4)),
        ("weights.npy", samples.malicious_npy()),
        ("nested.zip", samples.zip_of({"a.zip": samples.zip_of({"b": eicar()})})),
        ("secret.zip", samples.encrypted_zip()),
        ("evil.zip", samples.zip_of({"../evil": b"x"})),
        ("other.safetensors", b"\xff" * 64),
        ("model.gguf", b"GGUF" + b"\xff" * 39),
    ],
)
def test_bad_content_is_rejected(bench: Bench, name: str, content: bytes) -> None:
    ran = bench.run("ingest", bench.model(**{name.replace(".", "__"): content}), "--json")
    assert ran.status == 2
    assert ran.json["published"] == []
    assert any(reason["effect"] == "reject" and reason["path"] == name for reason in ran.json["decision"]["reasons"])


def test_a_wrong_hash_is_told_and_nothing_is_published(bench: Bench) -> None:
    ran = bench.run("ingest", bench.model(), "--hash", "sha256:" + "0" * 64, "--json")
    assert ran.status == 1
    facts = ran.json["error"]["facts"]
    assert facts["expected"].startswith("sha256-")
    assert facts["actual"] != facts["expected"]
    assert facts["actual"] in ran.err
    assert bench.run("list", "--json").json == []
    # The value it tells is the one that is accepted.
    assert bench.run("ingest", bench.model(), "--hash", facts["actual"]).status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["ingest", "s4://bucket/x"], 64, "Known schemes"),
        (["ingest", "nothing"], 64, "not a model URI"),
        (["ingest", "mock:a/b", "--policy", "lax"], 64, "Presets"),
        (["ingest", "mock:a/b", "--hash", "zz"], 64, "digest"),
        (["ingest", "mock:a/b", "--name", "../x"], 64, "--name"),
        (["ingest", "mock:a/b", "--name", "a b@1.0"], 64, "--name"),
        (["ingest", "mock:a/b", "--name", "a\x1b[2Jb"], 64, "--name"),
        (["ingest", "mock:a/b", "--wrong"], 64, "--help"),
        (["ingest"], 64, "--help"),
        (["ingest", "file:/no/such/folder"], 1, "/no/such/folder"),
        (["ingest", "mock:a/b", "--token-env", "NO_SUCH_TOKEN"], 64, "NO_SUCH_TOKEN"),
        (["ingest", "http://127.0.0.1:1/model.bin"], 1, "127.0.0.1"),
        (["ingest", "mock:a/b", "--locked"], 64, "weighbridge lock"),
        (["show", "nobody"], 64, "weighbridge list"),
        (["sync"], 64, "models.yaml"),
    ],
)
def test_mistakes_get_one_paragraph(bench: Bench, arguments: list[str], status: int, words: str) -> None:
    ran = bench.run(*arguments)
    assert ran.status == status
    assert words in ran.err
    assert ran.err.strip().count("\n") <= 3
    assert ran.out == ""


def test_a_clamd_that_is_not_there_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_CLAMD", "unix:/nowhere/clamd.ctl")
    ran = bench.run("ingest", bench.model())
    assert ran.status == 1
    assert "WEIGHBRIDGE_CLAMD" in ran.err
    assert bench.run("list", "--json").json == []


def test_a_locked_catalog_is_told(bench: Bench) -> None:
    uri = bench.model()
    assert bench.run("ingest", uri).status == 0
    holder = sqlite3.connect(bench.home / "catalog.db", isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        ran = bench.run("ingest", uri)
    finally:
        holder.close()
    assert ran.status == 1
    assert "catalog" in ran.err
    assert bench.run("ingest", uri).status == 0


def test_a_policy_that_changes_reads_no_byte_again(bench: Bench) -> None:
    uri = bench.model()
    first = bench.run("ingest", uri, "--json").json
    (bench.folder / "strict.yaml").write_text(
        "extends: minimal\nrequired: [archives, clamav, formats, pickles]\nrequired_files: [tokenizer.json]\n"
    )
    ran = bench.run("ingest", uri, "--policy", "strict.yaml", "--json")
    assert ran.status == 2
    assert ran.json["reports"] == first["reports"]
    assert ran.json["published"] == []
    assert bench.run("ingest", uri, "--json").json["published"] == first["published"]


def test_lock_and_locked(bench: Bench) -> None:
    uri = bench.model()
    (bench.folder / "models.yaml").write_text(f"models:\n  - {{name: tiny, source: '{uri}'}}\n")
    assert bench.run("lock").status == 0
    assert "model.safetensors" in (bench.folder / "models.lock").read_text()
    assert bench.run("ingest", uri, "--locked").status == 0
    assert bench.run("sync", "--locked").status == 0
    bench.model(README__md=b"changed")
    ran = bench.run("ingest", uri, "--locked")
    assert ran.status == 1
    assert "README.md" in ran.err
    assert "models.lock" in ran.err


def test_sync_takes_in_what_changed_and_one_failure_stops_no_other(bench: Bench) -> None:
    one, two = bench.model("one"), bench.model("two", README__md=b"other")
    (bench.folder / "models.yaml").write_text(
        f"models:\n  - {{name: one, source: '{one}'}}\n  - {{name: lost, source: 'file:/no/such'}}\n"
    )
    (bench.folder / "models.local.yaml").write_text(f"models:\n  - {{name: two, source: '{two}'}}\n")
    first = bench.run("sync", "--json")
    assert first.status == 1
    assert [(done["name"], done["status"]) for done in first.json["ingested"]] == [("one", "PASSED"), ("two", "PASSED")]
    assert [failure["name"] for failure in first.json["failed"]] == ["lost"]
    bench.model("two", README__md=b"changed")
    second = bench.run("sync", "--json").json
    assert second["unchanged"] == ["one"]
    assert [done["name"] for done in second["ingested"]] == ["two"]


def test_export_list_show_and_scan(bench: Bench) -> None:
    uri = bench.model()
    bench.run("ingest", uri)
    assert bench.run("export", "tiny@1.0.0", str(bench.folder / "out")).status == 0
    assert (bench.folder / "out" / "model.safetensors").read_bytes() == SAFETENSORS
    assert (
        bench.run("export", "tiny", str(bench.folder / "hf"), "--layout", "huggingface", "--repo", "o/tiny").status == 0
    )
    assert (bench.folder / "hf" / "models--o--tiny" / "refs" / "main").exists()
    assert [model["name"] for model in bench.run("list", "--json").json] == ["tiny"]
    assert bench.run("show", "tiny", "--json").json["version"] == "1.0.0"
    assert "tiny 1.0.0" in bench.run("show", "tiny").out
    before = bench.blobs()
    scanned = bench.run("scan", str(bench.folder / "tiny"), "--json")
    assert (scanned.status, scanned.json["status"]) == (0, "PASSED")
    (bench.folder / "tiny" / "evil.bin").write_bytes(eicar())
    assert bench.run("scan", str(bench.folder / "tiny")).status == 2
    assert bench.blobs() == before


def test_fsck_finds_and_an_ingest_mends(bench: Bench) -> None:
    uri = bench.model()
    bench.run("ingest", uri)
    assert bench.run("fsck").status == 0
    broken = max((bench.home / "store" / "blobs").rglob("*"), key=lambda path: path.is_file())
    broken.chmod(0o644)
    broken.write_bytes(b"rotten")
    ran = bench.run("fsck", "--json")
    assert ran.status == 1
    assert ran.json["concerned"] == ["tiny@1.0.0"]
    assert bench.run("ingest", uri).status == 0
    assert bench.run("fsck").status == 0


def test_doctor_names_what_mends(bench: Bench) -> None:
    ran = bench.run("doctor", "--json")
    assert ran.status == 0
    assert {check["what"] for check in ran.json} >= {"python", "home", "clamav", "pickles", "catalog", "mlflow"}


_KILLED = """
import os, signal, sys
from weighbridge.cli import app
from weighbridge.intake import steps
from weighbridge.store.incoming import Incoming
step, when = sys.argv[1].split(":")
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
if step == "write":
    original = Incoming.write
    def write(self, chunk):
        original(self, chunk[: len(chunk) // 2])
        kill()
    Incoming.write = write
elif step == "replace":
    original = os.replace
    def replace(source, target):
        if when == "after":
            original(source, target)
        kill()
    os.replace = replace
else:
    original = getattr(steps, step)
    def wrapped(*values):
        if when == "before":
            kill()
        original(*values)
        kill()
    setattr(steps, step, wrapped)
app.run(sys.argv[2:])
"""


@pytest.mark.parametrize(
    "moment",
    ["resolve:after", "fetch:before", "write:in", "replace:before", "replace:after", "fetch:after", "scan:before",
     "scan:after", "verify:after", "remember:after", "describe:after", "decide:after", "publish:before",
     "publish:after"],
)  # fmt: skip
def test_killed_anywhere_and_run_again(bench: Bench, moment: str) -> None:
    uri = bench.model()
    killed = subprocess.run([sys.executable, "-c", _KILLED, moment, "ingest", uri], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    ran = bench.run("ingest", uri, "--json")
    assert ran.status == 0
    assert (ran.json["version"], ran.json["status"]) == ("1.0.0", "PASSED")
    assert len(ran.json["published"]) == 1
    assert len(bench.blobs()) == 3
    assert bench.run("fsck").status == 0


def test_several_processes_take_in_one_model(bench: Bench) -> None:
    uri = bench.model()
    command = [sys.executable, "-m", "weighbridge", "ingest", uri, "--json"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], results
    versions = [json.loads(out)["version"] for out, _ in results]
    assert versions == ["1.0.0"] * 3
    assert len(bench.run("show", "tiny", "--json").json["published"]) == 1


_SMALL_DISK = 'mount -t tmpfs -o size={size} tmpfs "$1" && shift && exec "$@"'


def test_a_full_disk_is_told(bench: Bench) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    bench.home.mkdir()
    probe = subprocess.run(
        [*namespace, _SMALL_DISK.format(size="1m"), "sh", str(bench.home), "true"], check=False, capture_output=True
    )
    if probe.returncode:
        pytest.skip("this machine gives no mount namespace; tests/store/test_local.py covers the error itself")
    large = bench.folder / "large.bin"
    large.write_bytes(os.urandom(20_000_000))
    command = [sys.executable, "-m", "weighbridge", "ingest", f"file:{large}"]
    ran = subprocess.run(
        [*namespace, _SMALL_DISK.format(size="12m"), "sh", str(bench.home), *command],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "No space is left" in ran.stderr.replace("\n", " ")
    assert "Traceback" not in ran.stderr
