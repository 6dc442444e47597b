"""`weighbridge bundle`: packed by one user, imported by another one, whose terminal says what is believed and why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Bench


@pytest.fixture
def there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pack a model at a home of its own, go to another one, and return the bundle."""
    uri, path = bench.model(), bench.folder / "b.tar.zst"
    with monkeypatch.context() as away:
        away.setenv("WEIGHBRIDGE_HOME", str(bench.folder / "there"))
        assert bench.run("ingest", uri).status == 0
        unsigned = bench.run("bundle", "tiny", "-o", str(path))
        assert unsigned.status == 0
        assert "It is not signed: `weighbridge bundle key` makes a key." in unsigned.out
        key = bench.run("bundle", "key")
        assert (key.out.count("\n"), "was made" in key.err) == (1, True)
        again = bench.run("bundle", "key")
        assert (again.out, again.err) == (key.out, "")
        ran = bench.run("bundle", "create", "tiny@1.0.0", "-o", str(path))
        assert (ran.status, "1 version with 219 B of files" in ran.out) == (0, True)
        assert f"It is signed by {key.out.strip()}." in ran.out
    return path


def there_size(path: Path) -> int:
    """Return the bytes of a bundle's files after the signature, as tar counts them."""
    listed = subprocess.run(["tar", "--zstd", "-tvf", path], capture_output=True, text=True, check=True).stdout
    return sum(int(line.split()[2]) for line in listed.splitlines()[2:])


def test_a_bundle_in_parts(bench: Bench, there: Path) -> None:
    """As zarf-dev/zarf#2326 asks for: the parts of `split` are one stream again."""
    command = [sys.executable, "-m", "weighbridge", "bundle", "import", "-", "--json"]
    ran = subprocess.run(command, input=there.read_bytes(), capture_output=True, check=False)
    assert (ran.returncode, json.loads(ran.stdout)["versions"][0]["status"]) == (0, "PASSED")
    cut = subprocess.run(command, input=there.read_bytes()[:-9], capture_output=True, check=False)
    assert (cut.returncode, b"The bundle from standard input ends too early" in cut.stderr) == (1, True)


def test_without_trust(bench: Bench, there: Path) -> None:
    shown = bench.run("bundle", "show", str(there))
    assert "which is not trusted here (WEIGHBRIDGE_TRUSTED_BUNDLE_KEYS): what is in it is scanned here" in shown.out
    assert bench.run("list").out.startswith("None yet")
    ran = bench.run("bundle", "import", str(there))
    assert (ran.status, "scanned" in ran.out) == (0, True)
    assert bench.run("bundle", "import", str(there), "--json").json["versions"][0]["how"] == "unchanged"
    version = bench.run("show", "tiny")
    assert "bundle:tiny@1.0.0?upstream=file:" in version.out
    assert "passed there under the policy house" in version.out
    assert "version.imported" in bench.run("history", "tiny").out
    assert (bench.folder / "home" / "export" / "tiny" / "1.0.0" / "model.safetensors").exists()


def test_with_trust(bench: Bench, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = bench.run("bundle", "show", str(there), "--json").json["signed_by"]
    monkeypatch.setenv("WEIGHBRIDGE_TRUSTED_BUNDLE_KEYS", json.dumps({"office": key}))
    other = bench.run("bundle", "import", str(there), "--signed-by", "gate")
    assert (other.status, "was to be signed by gate, and is signed by office." in other.err) == (1, True)
    ran = bench.run("bundle", "import", str(there), "--signed-by", "office", "--json")
    assert ran.json["verified"] == {"files": 4, "size": there_size(there)}
    assert (ran.status, ran.json["trusted_as"]) == (0, "office")
    assert [(one["status"], one["how"]) for one in ran.json["versions"]] == [("PASSED", "taken over")]
    version = bench.run("show", "tiny")
    assert "1.4" in version.out
    assert ", at office" in version.out
    assert "It was scanned at office on" in version.out
    assert bench.run("show", "tiny", "--json").json["imported"]["trusted_as"] == "office"
    report = bench.run("show", "tiny", "--json").json["reports"][0]
    assert report["engine"]["scanned_by"] == "office"


def test_what_is_rejected_here_exits_with_2(bench: Bench, there: Path) -> None:
    (bench.folder / "gate.yaml").write_text("name: house\nextends: minimal\ndeny_formats: [safetensors]\n")
    ran = bench.run("bundle", "import", str(there))
    assert ran.status == 2
    assert "formats.denied" in ran.out
    assert "formats.denied" in json.dumps(bench.run("bundle", "import", str(there), "--json").json)


def test_a_file_that_is_no_bundle(bench: Bench, there: Path) -> None:
    for content, words in ((b"x" * 100, "is not a bundle"), (there.read_bytes()[:-9], "ends too early")):
        there.write_bytes(content)
        for command in ("import", "show") if b"x" in content[:1] else ("import",):
            ran = bench.run("bundle", command, str(there))
            assert ran.status in (1, 64)
            assert words in ran.err
            assert ran.err.strip().count("\n") <= 1  # Below a line of progress, one paragraph.
    assert bench.run("bundle", "import", str(bench.folder / "none")).status == 64
    assert bench.run("list").out.startswith("None yet")


def test_the_word_create_may_be_left_out_and_a_model_may_be_called_import(bench: Bench) -> None:
    bench.run("ingest", bench.model("import"))
    path = bench.folder / "b"
    assert bench.run("bundle", "-o", str(path), "create", "import").status == 64
    assert bench.run("bundle", "create", "import", "-o", str(path)).status == 0
    assert bench.run("bundle", "-o", str(path), "import", "--json").json["versions"] == [
        {"name": "import", "version": "1.0.0"}
    ]


def test_without_anything_it_says_how(bench: Bench) -> None:
    assert "import" in bench.run("bundle").out + bench.run("bundle", "--help").out
    assert bench.run("bundle", "tiny").status == 64
