"""Files that are no signature that can be read in one way, and statements that say something odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.content.model_signatures.desk import STANDARD, Desk, all_files, resource, saying, with_bundle
from tests.content.model_signatures.signing import FILES, resigned
from weighbridge.content.model_signatures.statement import MAX_SIZE, UnreadableSignature, read_statement


def _twice(signature: bytes) -> bytes:
    text = signature.decode().strip()
    return f'{text[:-1]}, "dsseEnvelope": {json.dumps(json.loads(text)["dsseEnvelope"])}}}'.encode()


#: Files that are no signature, or more than one, by what was done to one that is.
UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "the first half": lambda signature: signature[: len(signature) // 2],
    "without its last letter": lambda signature: signature[:-1].rstrip(b"} \n"),
    "a byte order mark": lambda signature: b"\xef\xbb\xbf" + signature,
    "two documents": lambda signature: signature + signature,
    "an envelope twice": _twice,
    "an envelope by another name as well": with_bundle(lambda one: one.update(dsse_envelope=one["dsseEnvelope"])),
    "an unknown key": with_bundle(lambda one: one.update(other=1)),
    "an unknown key of the envelope": with_bundle(lambda one: one["dsseEnvelope"].update(payload_type="x")),
    "an ambiguous key of the material": with_bundle(lambda one: one["verificationMaterial"].update(public_key={})),
    "two signatures": with_bundle(lambda one: one["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": ""})),
    "no signature": with_bundle(lambda one: one["dsseEnvelope"].update(signatures=[])),
    "no base64": with_bundle(lambda one: one["dsseEnvelope"].update(payload=one["dsseEnvelope"]["payload"] + "\n!")),
    "no material": with_bundle(lambda one: one.pop("verificationMaterial")),
    "another payload": with_bundle(lambda one: one["dsseEnvelope"].update(payloadType="text/plain")),
    "another bundle": with_bundle(lambda one: one.update(mediaType="application/json")),
    "a deep text": lambda _: b"[" * 100_000,
    "a long number": lambda _: b"9" * 100_000,
    "no text": lambda _: bytes(range(256)),
    "NaN": lambda _: b'{"mediaType": NaN}',
    "a list": lambda signature: b"[" + signature + b"]",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_in_one_way_is_no_signature(desk: Desk, what: str) -> None:
    content = UNREADABLE[what](desk.signed())
    with pytest.raises(UnreadableSignature):
        read_statement(content)
    whole = {**FILES, "model.sig": content}
    (found,) = desk.facts(whole)
    assert found.problem
    assert found.checks == ()
    assert desk.judged(whole, STANDARD) == [("warn", "publisher.unreadable")]
    assert desk.judged(whole)[-1] == ("reject", "publisher.missing")


def test_a_huge_file_is_not_read(desk: Desk) -> None:
    (found,) = desk.facts({**FILES, "model.sig": bytes(MAX_SIZE + 1)})
    assert "more than 32 MiB" in found.problem


def test_statements_that_the_reference_implementation_would_not_write(desk: Desk) -> None:
    """Each is signed by the right key, and says something odd."""
    base, weights = desk.signed(), FILES["model.safetensors"]
    halves = [resource(f"model.safetensors:{at}", weights[:10], "sha256-sharded-10") for at in ("0:10", "20:30")]
    shards = {"method": "shards", "shard_size": 10}
    odd: dict[str, tuple[Any, str]] = {
        "a file twice": (saying(desk, [*all_files(), resource("README.md", b"other")]), "unreadable"),
        "another algorithm": (saying(desk, [resource("README.md", b"", "md5")]), "unreadable"),
        "an unknown method": (saying(desk, all_files(), method="tensors"), "unreadable"),
        "no size of shards": (saying(desk, halves, method="shards"), "unreadable"),
        "infinite shards": (saying(desk, halves, method="shards", shard_size=1e400), "unreadable"),
        "shards with a gap": (saying(desk, halves, **shards), "model.safetensors"),
        "shards without a place": (saying(desk, [resource("x", b"", "sha256-sharded-10")], **shards), "unreadable"),
        "no root digest": (
            saying(desk, all_files()) | {"subject": [{"name": "x", "digest": {"sha256": "0" * 64}}]},
            "unreadable",
        ),
        "two subjects": (saying(desk, all_files()) | {"subject": [{}, {}]}, "unreadable"),
        "another predicate": (
            saying(desk, all_files()) | {"predicateType": "https://slsa.dev/provenance/v1"},
            "unreadable",
        ),
        "another statement": (saying(desk, all_files()) | {"_type": "x"}, "unreadable"),
        "a key twice": (b'{"_type": "x", "_type": "https://in-toto.io/Statement/v1"}', "unreadable"),
        "above": (saying(desk, all_files(README="../README.md")), "missing ../README.md"),
        "from the root": (saying(desk, all_files(README="/README.md")), "missing /README.md"),
        "by another spelling": (saying(desk, all_files(README="./README.md")), "missing ./README.md"),
        "by another case": (saying(desk, all_files(README="readme.md")), "missing readme.md"),
        "with a backslash": (saying(desk, all_files(README="sub\\README.md")), "missing sub\\README.md"),
    }
    for what, (statement, expected) in odd.items():
        (found,) = desk.facts({**FILES, "model.sig": resigned(base, statement, desk.team)})
        told = (
            f"missing {found.missing[0]}" if found.missing else "unreadable" if found.problem else found.mismatched[0]
        )
        assert told == expected, (what, found)
        assert desk.judged({**FILES, "model.sig": resigned(base, statement, desk.team)}) != [], what
