"""Envelopes: what is signed, by the word of openssl and of the library; and what is refused."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.dsse import Envelope

from weighbridge.signing.envelopes import MAX_SIGNATURES, InvalidEnvelope, SignedPayload, read_envelopes, signed
from weighbridge.signing.keys import AttestationKey, made_key

KIND = "application/vnd.in-toto+json"
#: Bytes whose base64 has both letters by which the two alphabets differ, and padding.
PAYLOAD = b'{"a":"\xfb\xff\xfe?>~"}\x00..'


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> AttestationKey:
    return made_key(tmp_path_factory.mktemp("one"))[0]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> AttestationKey:
    return made_key(tmp_path_factory.mktemp("other"))[0]


@pytest.fixture(scope="module")
def envelope(key: AttestationKey) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(signed(PAYLOAD, KIND, key))
    return value


def only(value: dict[str, Any]) -> SignedPayload:
    (found,) = read_envelopes(json.dumps(value).encode())
    return found


def test_openssl_verifies_the_encoding_that_is_signed(
    key: AttestationKey, envelope: dict[str, Any], tmp_path: Path
) -> None:
    """The encoding is written here by DSSE's definition, and verified by another program."""
    encoding = b"DSSEv1 %d %s %d %s" % (len(KIND), KIND.encode(), len(PAYLOAD), PAYLOAD)
    (tmp_path / "pub").write_text(key.public.pem)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    for content, status in ((encoding, 0), (encoding + b" ", 1)):
        (tmp_path / "encoding").write_bytes(content)
        command = ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "encoding"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert ran.returncode == status
    assert only(envelope).encoding == encoding


def test_the_verifier_of_the_library_agrees(key: AttestationKey, envelope: dict[str, Any]) -> None:
    found = Envelope.from_dict(json.loads(json.dumps(envelope)))
    assert found.payload == PAYLOAD
    assert found.verify([key.public.key], 1).keys() == {key.public.id}


def test_a_signature_counts_by_its_key_alone(
    key: AttestationKey, other: AttestationKey, envelope: dict[str, Any]
) -> None:
    """Of several keys any may have signed (in-toto/witness#194), and the hint of an envelope is not needed
    (secure-systems-lab/securesystemslib#416)."""
    found = only(envelope)
    assert found.signer([key.public]) is key.public
    assert found.signer([other.public, key.public]) is key.public
    assert found.signer([other.public]) is None
    assert found.signer([]) is None
    for hint in ({}, {"keyid": ""}, {"keyid": other.public.id}, {"keyid": 7}):
        hinted = only(envelope | {"signatures": [{"sig": envelope["signatures"][0]["sig"], **hint}]})
        assert hinted.signer([key.public]) is key.public
        assert hinted.signer([other.public]) is None


def test_of_two_signatures_one_by_a_trusted_key_is_enough(
    key: AttestationKey, other: AttestationKey, envelope: dict[str, Any]
) -> None:
    """As DSSE defines it since secure-systems-lab/dsse#40; a bad one beside it takes nothing away."""
    second = json.loads(signed(PAYLOAD, KIND, other))["signatures"]
    first = envelope["signatures"]
    bad = [{**first[0], "sig": base64.b64encode(b"0" * 70).decode()}]
    for signatures in (first + second, second + first, bad + first, first + bad, first + first):
        both = only(envelope | {"signatures": signatures})
        assert both.signer([key.public]) is key.public
    assert only(envelope | {"signatures": bad + second}).signer([key.public]) is None


def test_type_and_payload_are_signed_together(key: AttestationKey, envelope: dict[str, Any]) -> None:
    """Another type, a byte more or less, a payload that moves into its type: none is what was signed."""
    assert only(envelope | {"payloadType": "application/json"}).signer([key.public]) is None
    for payload in (PAYLOAD + b" ", PAYLOAD[:-1], b""):
        changed = envelope | {"payload": base64.b64encode(payload).decode()}
        assert only(changed).signer([key.public]) is None
    split = f"{KIND} {len(PAYLOAD)} "
    assert only(envelope | {"payloadType": split}).signer([key.public]) is None


def test_both_alphabets_of_base64_are_read(key: AttestationKey, envelope: dict[str, Any]) -> None:
    """DSSE demands it of verifiers."""
    text = envelope["payload"]
    assert {"+", "/", "="} <= set(text)
    url_safe = envelope | {"payload": text.translate(str.maketrans("+/", "-_"))}
    assert only(url_safe).payload == PAYLOAD
    assert only(url_safe).signer([key.public]) is key.public
    other_bits = text[:-2] + chr(ord(text[-2]) + 1) + "="
    assert base64.b64decode(other_bits) == PAYLOAD  # A lenient reader takes it for the same bytes.
    for wrong in (
        text.replace("+", "-"),
        text.rstrip("="),
        text + "=",
        text[:10] + "\n" + text[10:],
        " " + text,
        other_bits,
        text + "AAAA",
        text.replace("+", "*"),
        "ä",
    ):
        with pytest.raises(InvalidEnvelope, match="field payload is not base64"):
            only(envelope | {"payload": wrong})
    assert only(envelope | {"payload": ""}).signer([key.public]) is None


def test_a_file_is_lines_or_one_envelope(envelope: dict[str, Any]) -> None:
    line = json.dumps(envelope).encode()
    assert len(read_envelopes(line)) == len(read_envelopes(line + b"\r\n\n")) == 1
    assert len(read_envelopes(line + b"\n" + line + b"\n")) == 2
    assert len(read_envelopes(json.dumps(envelope, indent=2).encode())) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"hello", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "payloadType"),
        (b"[" * 500_000, "too deeply"),
        (b"{}\n" * 65, "not JSON"),
        (b"\xff\xfe{}", "UTF-8"),
    ],
)
def test_what_is_no_file_of_envelopes(content: bytes, words: str) -> None:
    with pytest.raises(InvalidEnvelope, match=words):
        read_envelopes(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"payload": None}, "field payload is missing"),
        ({"payload": {"a": 1}}, "field payload is missing"),
        ({"payloadType": ""}, "payloadType"),
        ({"payloadType": ["x"]}, "payloadType"),
        ({"payloadType": "\ud800"}, "Unicode"),
        ({"signatures": []}, "no signature"),
        ({"signatures": None}, "no signature"),
        ({"signatures": {"sig": "AAAA"}}, "no signature"),
        ({"signatures": ["AAAA"]}, "not an object"),
        ({"signatures": [{}]}, "field sig is missing"),
        ({"signatures": [{"sig": ""}]}, "empty"),
        ({"signatures": [{"sig": "A" * 4000}]}, "too long"),
        ({"signatures": [{"sig": "AAAA"}] * (MAX_SIGNATURES + 1)}, "more than"),
    ],
)
def test_what_is_no_envelope(envelope: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEnvelope, match=words):
        only(envelope | change)


def test_a_name_that_occurs_twice_is_refused(envelope: dict[str, Any]) -> None:
    text = json.dumps(envelope)
    for twice in (text[:-1] + ', "payload": "AAAA"}', '{"payloadType": "x", ' + text[1:]):
        with pytest.raises(InvalidEnvelope, match="the same name twice"):
            read_envelopes(twice.encode())
