"""`weighbridge bom`: the bill of materials in a file or on standard output."""

from __future__ import annotations

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.cli.conftest import Bench


def test_a_model_that_was_taken_in_has_a_valid_bill(bench: Bench) -> None:
    readme = (
        b"---\nlicense: mit\nbase_model: org/base\ndatasets: [org/texts]\n---\n# Tiny\n\nA model of the tests, small.\n"
    )
    bench.run("ingest", bench.model(README__md=readme))
    printed = bench.run("bom", "tiny").out
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(printed) is None
    found = json.loads(printed)
    model = found["metadata"]["component"]
    assert model["licenses"][0]["license"]["id"] == "MIT"
    assert {one["name"] for one in found["components"]} >= {"README.md", "org/base", "org/texts"}
    scanners = {one["name"] for one in found["metadata"]["tools"]["components"]}
    assert scanners == {"Weighbridge", "archives", "clamav", "formats", "pickles"}
    target = bench.folder / "tiny.cdx.json"
    told = json.loads(bench.run("bom", "tiny@1.0.0", "-o", str(target), "--json").out)
    assert (told["schema"], told["serial_number"], told["path"]) == (
        "weighbridge.bom/1",
        found["serialNumber"],
        str(target),
    )
    assert target.read_text() == printed


def test_a_file_that_cannot_be_written_is_an_error(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    failed = bench.run("bom", "tiny", "-o", str(bench.folder / "none" / "x.json"), "--json")
    assert failed.status == 64
    assert "No such file" in json.loads(failed.out)["error"]["problem"]
