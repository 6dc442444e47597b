"""The attestation of a version over HTTP: the file that `weighbridge attest verify` takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Silent
from weighbridge.intake.attesting import AttestationProof, AttestationRequest, verify
from weighbridge.signing.keys import made_key

pytestmark = pytest.mark.xdist_group("web")
PATH = "/models/attested/model/versions/1.0.0/attestations"


def test_what_is_served_is_verified(served: Served, tmp_path: Path) -> None:
    settle(served.catalog, name="attested/model")

    def proof(content: bytes) -> AttestationProof:
        (tmp_path / "file").write_bytes(content)
        return verify(AttestationRequest(str(tmp_path / "file")), Settings(home=served.home), Silent())

    without = served.get(PATH)
    assert (without.status_code, "weighbridge attest key" in without.json()["remedy"]) == (409, True)
    made_key(served.home)
    answer = served.get(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.in-toto.bundle")
    assert (proof(answer.content).verified, proof(answer.content).model) == (True, "attested/model@1.0.0")
    tag = {"If-None-Match": answer.headers["etag"]}
    assert served.get(PATH, headers=tag).status_code == 304
    assert len(served.get(PATH, params={"only": "scanned"}).content.splitlines()) == 1
    assert served.get(PATH, params={"only": "x"}).status_code == 422
    assert served.get(PATH.replace("1.0.0", "9.9.9")).status_code == 404

    served.catalog.withdraw("attested/model", "1.0.0", "recalled")
    withdrawn = served.get(PATH, headers=tag)
    assert withdrawn.status_code == 200
    assert [check.name for check in proof(withdrawn.content).checks if not check.passed] == ["verdict"]

    (served.home / "attestation-key").chmod(0o644)
    unusable = served.get(PATH)
    assert (unusable.status_code, str(served.home) in unusable.text) == (500, False)
    (served.home / "attestation-key").chmod(0o600)
    assert json.loads(answer.content.splitlines()[0])["payloadType"] == "application/vnd.in-toto+json"
