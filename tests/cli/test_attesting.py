"""`weighbridge attest`: exported by one user, verified by another one; the private key is in no output and no log."""

from __future__ import annotations

import json
import logging

import pytest

from tests.cli.conftest import Bench


def test_from_one_user_to_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert bench.run("ingest", bench.model()).status == 0
    without = bench.run("attest", "export", "tiny")
    assert (without.status, "`weighbridge attest key` makes one" in without.err) == (1, True)
    key = bench.run("attest", "key")
    assert (key.out.startswith("-----BEGIN PUBLIC KEY-----\n"), "was made" in key.err) == (True, True)
    again = bench.run("attest", "key")
    assert (again.out, again.err) == (key.out, "")
    file = str(bench.folder / "tiny.intoto.jsonl")
    exported = bench.run("attest", "export", "tiny@1.0.0", "-o", file)
    assert (exported.status, "5 statements on tiny@1.0.0, which is PASSED" in exported.out) == (0, True)
    assert bench.run("attest", "export", "tiny", "--only", "verdict").out.count("\n") == 1
    assert "not a step" in bench.run("attest", "export", "tiny", "--only", "x").err
    assert bench.run("attest", "export", "none").status == 64
    assert bench.run("attest", "export", "tiny", "-o", str(bench.folder / "no" / "x")).status == 64
    assert bench.run("attest", "verify", file, str(bench.folder / "tiny")).status == 0
    assert bench.run("withdraw", "tiny@1.0.0", "--reason", "recalled").status == 0
    withdrawn = bench.run("attest", "export", "tiny@1.0.0", "-o", str(bench.folder / "withdrawn"))
    assert "which is FAILED" in withdrawn.out

    private = (bench.home / "attestation-key").read_text()
    (bench.folder / "office.pub").write_text(key.out)
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(bench.folder / "elsewhere"))
    nobody = bench.run("attest", "verify", file)
    assert (nobody.status, "No key is trusted here" in nobody.err) == (64, True)
    trusted = ("--key", str(bench.folder / "office.pub"))
    verified = bench.run("attest", "verify", file, str(bench.folder / "tiny"), *trusted)
    assert (verified.status, "tiny@1.0.0: every check holds" in verified.out) == (0, True)
    assert [line.split()[:1] for line in verified.out.splitlines() if line.strip()[:1].isdigit()] == [
        [str(number)] for number in range(1, 12)
    ]
    (bench.folder / "tiny" / "config.json").write_text("{}")
    altered = bench.run("attest", "verify", file, str(bench.folder / "tiny"), *trusted, "--json")
    assert altered.status == 2
    checks = {check["name"]: check for check in altered.json["checks"]}
    assert (checks["altered"]["passed"], checks["altered"]["paths"]) == (False, ["config.json"])
    assert checks["signature"]["message"] == "Signed by office."
    recalled = bench.run("attest", "verify", str(bench.folder / "withdrawn"), *trusted)
    assert (recalled.status, "FAILED under urn:weighbridge:policy:house" in recalled.out) == (2, True)
    logged = caplog.text + "".join(ran.out + ran.err for ran in (without, key, again, exported, verified, altered))
    assert [line for line in private.splitlines()[1:-1] if line in logged] == []
    assert json.loads(bench.run("attest", "key", "--rotate", "--json").out)["made"] is True
