"""What scanners say of a version."""

from __future__ import annotations

import pytest

from tests.catalog.values import CARD, decision, manifest, report
from tests.services.weighbridge import Served, holds
from weighbridge.web.api import scan_documents

pytestmark = pytest.mark.xdist_group("web")


def _settle(served: Served, name: str) -> None:
    reports = (report("a"), report("a", "formats", status="partial"), report("{}"))
    verdict = decision("FAILED", reports)
    served.catalog.settle_version(name, "mock:x", manifest("a"), CARD, verdict, reports, lambda _: "1.0.0")


def test_engines_side_by_side(served: Served) -> None:
    _settle(served, "scans/engines")
    found = holds(scan_documents.Scan, served.get("/models/scans/engines/scan"))
    assert [(one["scanner"], one["files"], one["states"]) for one in found["engines"]] == [
        ("clamav", 2, {"completed": 2}),
        ("formats", 1, {"partial": 1}),
    ]
    assert found["engines"][0]["facts"]["database"] == "test-only"
    assert found["engines"][0]["findings"] == {"error": 2}
    assert (found["engines"][1]["bytes_covered"], found["engines"][1]["bytes_total"]) == (0, 7)
    assert served.get("/models/scans/engines/scan?version=1.0.0").json() == found
    assert served.get("/models/scans/engines/scan?version=2.0.0").status_code == 404


def test_reports_and_findings(served: Served) -> None:
    _settle(served, "scans/reports")
    path = "/models/scans/reports/versions/1.0.0"
    reports = holds(scan_documents.Reports, served.get(f"{path}/reports"))["items"]
    assert {tuple(one["paths"]) for one in reports} == {("config.json",), ("sub/größe ½.safetensors",)}
    findings = holds(scan_documents.LocatedFindings, served.get(f"{path}/findings"))["items"]
    assert [(one["path"], one["scanner"]) for one in findings] == [
        ("config.json", "clamav"),
        ("sub/größe ½.safetensors", "clamav"),
        ("sub/größe ½.safetensors", "formats"),
    ]
    assert (findings[0]["rule"], findings[0]["location"]) == ("clamav.signature", "a.zip!/b")
    assert findings[0]["report"] in {one["id"] for one in reports}
    parts = [holds(scan_documents.LocatedFindings, served.get(f"{path}/findings?limit=2"))]
    parts.append(
        holds(scan_documents.LocatedFindings, served.get(f"{path}/findings?limit=2&cursor={parts[0]['next']}"))
    )
    assert parts[0]["items"] + parts[1]["items"] == findings
    assert holds(scan_documents.LocatedFindings, served.get(f"{path}/findings?level=note"))["items"] == []
    assert served.get(f"{path}/findings?level=bad").status_code == 422
