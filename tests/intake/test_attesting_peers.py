"""Public reports of bugs of verifiers (cosign, in-toto, Witness, model-transparency), tried here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.values import digest
from tests.intake.attested_place import Place, attested_place, failed, lay_out
from weighbridge.domain.attestations import PAYLOAD_TYPE
from weighbridge.signing.envelopes import signed
from weighbridge.signing.keys import made_key


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attested_place(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the model's folder, to be changed."""
    return lay_out(tmp_path / "m")


def test_a_payload_that_is_no_statement(place: Place) -> None:
    """sigstore/cosign GHSA-w6c6-c85g-mmv6: a valid signature over a malformed payload was "Verified OK"."""
    for payload in (b"", b"not JSON", b"[]", b'{"_type": "https://in-toto.io/Statement/v1"}', b"\xff"):
        proof = place.verify(signed(payload, PAYLOAD_TYPE, place.key))
        assert failed(proof) == ["statement"]


def test_no_attestation_of_the_type_in_question(place: Place) -> None:
    """sigstore/cosign CVE-2022-35929: any valid attestation counted where none of the type was there."""
    done = place.export()
    assert failed(place.verify(b"\n".join(done.envelopes[1:]))) == ["steps"]
    other = place.resigned(lambda values: values[0].update(predicateType="https://spdx.dev/Document"))
    assert failed(place.verify(other)) == ["statement"]


def test_a_payload_of_another_type(place: Place) -> None:
    """sigstore/cosign#1249: the type has to be in-toto's, also where it is signed."""
    for kind in ("application/json", f"{PAYLOAD_TYPE};v=2", PAYLOAD_TYPE.upper(), " " + PAYLOAD_TYPE):
        content = b"\n".join(signed(one.content, kind, place.key) for one in place.export().statements)
        assert failed(place.verify(content)) == ["payload type"]
        unsigned = place.export().content.replace(PAYLOAD_TYPE.encode(), kind.encode())
        assert failed(place.verify(unsigned)) == ["payload type", "signature"]


def test_no_subject(place: Place, copy: Path) -> None:
    """in-toto/attestation#349: an empty list of subjects matches whatever there is, or nothing."""

    def empty(values: list[dict[str, Any]]) -> None:
        for value in values:
            value["subject"] = []

    assert failed(place.verify(place.resigned(empty), folder=copy)) == ["statement"]


@pytest.mark.parametrize(
    "subject",
    [
        {"name": "config.json"},
        {"name": "config.json", "digest": {}},
        {"name": "config.json", "digest": {"sha1": "0" * 40}},
        {"name": "config.json", "digest": {"sha512": "0" * 128}},
        {"name": "config.json", "digest": {"sha256": digest("{}").hex, "sha1": "0" * 40}},
        {"name": "config.json", "digest": {"SHA256": digest("{}").hex}},
        {"name": "config.json", "digest": {"sha256": digest("{}").hex.upper()}},
        {"name": "config.json", "digest": {"sha256": digest("{}").hex[:40]}},
        {"name": "config.json", "digest": {"sha256": None}},
        {"name": "config.json", "digest": digest("{}").hex},
        {"name": "", "digest": {"sha256": digest("{}").hex}},
        {"name": "../config.json", "digest": {"sha256": digest("{}").hex}},
        {"name": "/etc/passwd", "digest": {"sha256": digest("{}").hex}},
        {"name": "sub//x", "digest": {"sha256": digest("{}").hex}},
        {"name": 7, "digest": {"sha256": digest("{}").hex}},
        {"uri": "urn:weighbridge:manifest:sha256:" + "0" * 64, "digest": {"sha256": digest("{}").hex}},
        {"name": "a b+c%20.txt", "digest": {"sha256": digest("").hex}},
        "config.json",
    ],
)
def test_digests_and_names_of_another_kind(place: Place, subject: Any) -> None:
    """in-toto/attestation#349, sigstore/model-transparency#647: algorithms, empty names, ways out of the folder."""

    def put(values: list[dict[str, Any]]) -> None:
        for value in values:
            at = next(at for at, one in enumerate(value["subject"]) if one.get("name") == "config.json")
            value["subject"][at] = subject

    assert failed(place.verify(place.resigned(put), folder=place.folder))[0] == "statement"


def test_a_subset_of_the_files(place: Place, copy: Path) -> None:
    """sigstore/model-transparency#111, sigstore-rs#596: one matching subject is not the model."""
    (copy / "config.json").unlink()
    assert failed(place.verify(place.export().content, folder=copy)) == ["missing"]


def test_further_files(place: Place, copy: Path) -> None:
    """sigstore/model-transparency#374: what was not signed is named; also below a folder, and litter."""
    for path in ("modeling.py", "sub/x.bin", ".git/config", ".hidden"):
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_bytes(b"x")
    proof = place.verify(place.export().content, folder=copy)
    assert failed(proof) == ["extra"]
    assert next(one for one in proof.checks if one.name == "extra").paths == (
        ".git/config",
        ".hidden",
        "modeling.py",
        "sub/x.bin",
    )


def test_keys_of_others_beside_ours(place: Place, tmp_path: Path) -> None:
    """in-toto/witness#194: with several trusted keys, the first that fails must not end it."""
    others = [made_key(tmp_path / str(at))[0] for at in range(3)]
    paths = []
    for at, key in enumerate([*others, place.key]):
        paths.append(str(tmp_path / f"{at}.pub"))
        Path(paths[-1]).write_text(key.public.pem)
    content = place.export().content
    assert place.verify(content, keys=tuple(paths)).signed_by == ("3",)
    assert failed(place.verify(content, keys=tuple(paths[:3]))) == ["signature"]
