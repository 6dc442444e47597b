"""Publishers' signatures, made by the reference implementation and altered, and what the gate makes of each."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import verifying

from tests.content.model_signatures.desk import METHODS, STANDARD, Desk, all_files, resource, saying, with_bundle
from tests.content.model_signatures.signing import (
    FILES,
    certify,
    in_this_process,
    model,
    publisher,
    resigned,
    signed,
    statement_of,
)
from weighbridge.config.publisher_keys import certificate_anchor, key_anchor
from weighbridge.content.model_signatures.checking import check_again, examine
from weighbridge.domain.progress import Silent
from weighbridge.domain.publisher_rules import judge_publishers
from weighbridge.domain.publishers import PublisherRule, PublisherSignature


@pytest.mark.parametrize("method", METHODS)
def test_a_signed_model_is_what_its_publisher_signed_and_an_altered_one_is_not(desk: Desk, method: str) -> None:
    signature = desk.signed(how=METHODS[method])
    whole = {**FILES, "model.sig": signature}
    (found,) = desk.facts(whole)
    assert (found.covered, found.mismatched, found.missing, found.uncovered) == (4, (), (), ()), found
    assert found.method == method.partition(",")[0]
    assert [check.valid for check in found.checks] == [True]
    assert desk.judged(whole) == []
    weights = FILES["model.safetensors"]
    for at in (0, 999, 1000, len(weights) - 1):
        altered = weights[:at] + bytes([weights[at] ^ 1]) + weights[at + 1 :]
        (found,) = desk.facts({**whole, "model.safetensors": altered})
        assert found.mismatched == ("model.safetensors",), at
    for content in (b"", weights[:-1], weights[:1000], weights + b"\0"):
        changed = {**whole, "model.safetensors": content}
        (found,) = desk.facts(changed)
        assert "model.safetensors" in found.mismatched
        assert ("reject", "publisher.mismatch") in desk.judged(changed)
        assert desk.judged(changed, STANDARD)[0] == ("reject", "publisher.mismatch"), (
            "a broken promise, demanded or not"
        )


def test_files_that_were_added_are_not_covered(desk: Desk) -> None:
    whole = {**FILES, "model.sig": desk.signed(), "extra.bin": b"x", ".gitattributes": b"*", ".github/x.yml": b"y"}
    (found,) = desk.facts(whole)
    assert (found.uncovered, found.ignored) == (("extra.bin",), ())
    assert desk.judged(whole) == [("reject", "publisher.uncovered")]
    assert desk.judged(whole, unsigned=("*.txt", "extra.*")) == []
    assert desk.judged(whole, required=False) == [("warn", "publisher.uncovered")]
    assert desk.judged(whole, STANDARD) == [("warn", "publisher.uncovered")]


def test_files_that_are_missing_are_a_broken_promise_unless_they_were_left_out_on_purpose(desk: Desk) -> None:
    signature = desk.signed({**FILES, ".DS_Store": b"litter"})
    fewer = {path: content for path, content in FILES.items() if path != "README.md"} | {"model.sig": signature}
    (found,) = desk.facts(fewer)
    assert found.missing == ("README.md",), "what no ingest takes is not missing"
    assert desk.judged(fewer) == [("reject", "publisher.mismatch")]
    assert desk.judged(fewer, STANDARD) == [("reject", "publisher.mismatch")]
    policy = replace(STANDARD, publishers=(PublisherRule("mock:o/*", desk.anchor),))
    for uri, objections in (("mock:o/n@1?exclude=*.md", 0), ("mock:o/n@1?exclude=*.txt", 1)):
        manifest = model(desk.store, fewer, uri)
        assert len(list(judge_publishers(manifest, (found,), policy))) == objections


def test_what_the_signer_ignored_is_not_covered_and_said_so(desk: Desk) -> None:
    whole = {**FILES, "model.sig": desk.signed(ignored=["model.safetensors", "sub"])}
    (found,) = desk.facts(whole)
    assert found.ignored == found.uncovered == ("model.safetensors", "sub/größe ½.txt")
    assert desk.judged(whole) == [("reject", "publisher.uncovered")]
    everything = {
        **FILES,
        "model.sig": resigned(desk.signed(), saying(desk, [], ignored=[".", "", "/", ".."]), desk.team),
    }
    (found,) = desk.facts(everything)
    assert (found.covered, found.uncovered) == (0, tuple(sorted(FILES)))


def test_another_publishers_signature_is_none_of_ours(desk: Desk) -> None:
    whole = {**FILES, "model.sig": desk.signed(by=desk.other)}
    (found,) = desk.facts(whole)
    assert [check.valid for check in found.checks] == [False]
    assert "does not match" in found.checks[0].problem
    assert desk.judged(whole) == [("reject", "publisher.untrusted")]
    assert desk.judged(whole, required=False) == [("reject", "publisher.untrusted")]
    assert desk.judged(whole, STANDARD) == [], "a note, where nobody is named"
    assert desk.judged(whole, replace(STANDARD, rules=(("publisher.unknown", "warn"),))) == [
        ("warn", "publisher.unknown")
    ]
    hint = json.loads(whole["model.sig"])
    hint["verificationMaterial"]["publicKey"]["hint"] = desk.anchor.id.rpartition(":")[2]
    assert desk.judged({**FILES, "model.sig": json.dumps(hint).encode()}) == [("reject", "publisher.untrusted")]
    policy = replace(
        STANDARD, publishers=tuple(PublisherRule("mock:*", key_anchor(one.public)) for one in (desk.team, desk.other))
    )
    both = examine(
        model(desk.store, whole),
        desk.store,
        [rule.anchor for rule in policy.publishers],
        Silent(),
        ask=in_this_process,
    )
    assert list(judge_publishers(model(desk.store, whole), both, policy)) == [], "either of two keys, as they change"


def test_a_model_without_a_signature_needs_one_only_where_a_policy_says_so(desk: Desk) -> None:
    assert desk.facts(FILES) == ()
    assert desk.judged(FILES) == [("reject", "publisher.missing")]
    assert desk.judged(FILES, required=False) == []
    assert desk.judged(FILES, STANDARD) == []
    elsewhere = replace(STANDARD, publishers=(PublisherRule("hf:nvidia/*", desk.anchor),))
    assert desk.judged(FILES, elsewhere) == []


@pytest.mark.parametrize("size", [ec.SECP384R1(), ec.SECP521R1()])
def test_keys_of_other_curves(desk: Desk, size: ec.EllipticCurve) -> None:
    by = publisher(desk.folder, size.name, size)
    (found,) = desk.facts({**FILES, "model.sig": desk.signed(by=by)}, key_anchor(by.public))
    assert [check.valid for check in found.checks] == [True]


def test_certificates_of_an_authority(desk: Desk) -> None:
    root, leaf, stranger = (publisher(desk.folder, name) for name in ("root", "leaf", "stranger"))
    certify(root, root, authority=True)
    certify(leaf, root, mail="ada@example.org")
    certify(stranger, stranger, authority=True)
    whole = {**FILES, "model.sig": desk.signed(by=leaf, chain=[root.certificate])}
    ours, theirs = certificate_anchor(root.certificate), certificate_anchor(stranger.certificate)
    (found,) = desk.facts(whole, ours, theirs)
    assert {check.anchor: check.valid for check in found.checks} == {ours.id: True, theirs.id: False}
    assert (found.intact, found.claims) == (True, "ada@example.org")
    for rule, objections in (
        (PublisherRule("mock:*", ours), []),
        (PublisherRule("mock:*", ours, "ada@*"), []),
        (PublisherRule("mock:*", ours, "bob@*"), ["publisher.untrusted"]),
        (PublisherRule("mock:*", theirs), ["publisher.untrusted"]),
        (PublisherRule("mock:*", desk.anchor), ["publisher.untrusted"]),
    ):
        policy = replace(STANDARD, publishers=(rule,))
        assert [one[1] for one in judge_publishers(model(desk.store, whole), (found,), policy)] == objections
    forged = resigned(whole["model.sig"], statement_of(whole["model.sig"]), desk.team)
    (found,) = desk.facts({**FILES, "model.sig": forged}, ours)
    assert (found.intact, [check.valid for check in found.checks]) == (False, [False])
    assert desk.judged({**FILES, "model.sig": forged}, STANDARD) == [("reject", "publisher.invalid")]


def test_a_statement_that_was_changed_after_it_was_signed(desk: Desk) -> None:
    def change(bundle: dict[str, Any]) -> None:
        said = saying(desk, [*all_files(), resource("extra.bin", b"x")])
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(said).encode()).decode()

    whole = {**FILES, "extra.bin": b"x", "model.sig": with_bundle(change)(desk.signed())}
    (found,) = desk.facts(whole)
    assert (found.uncovered, [check.valid for check in found.checks]) == ((), [False])
    assert desk.judged(whole) == [("reject", "publisher.untrusted")]


def test_the_order_of_shards_makes_no_difference_but_to_the_digest_of_all(desk: Desk) -> None:
    signature = desk.signed(how=METHODS["shards"])
    said = statement_of(signature)
    said["predicate"]["resources"].reverse()
    assert desk.judged({**FILES, "model.sig": resigned(signature, said, desk.team)})[-1][1] == "publisher.missing"
    shuffled = saying(desk, said["predicate"]["resources"], **said["predicate"]["serialization"])
    assert desk.judged({**FILES, "model.sig": resigned(signature, shuffled, desk.team)}) == []


def test_the_first_format_is_read(desk: Desk) -> None:
    """v0.2 listed the files as subjects, and a mistake of its signer became part of what is signed."""
    subjects = [{"name": one["name"], "digest": {"sha256": one["digest"]}} for one in all_files()]
    said = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://model_signing/Digests/v0.1"}
    payload = json.dumps({**said, "subject": subjects, "predicate": {"unused": "x"}}).encode()
    kind = "application/vnd.in-toto+json"
    pae = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
    bundle = json.loads(desk.signed())
    bundle["verificationMaterial"] = {"publicKey": {"rawBytes": "AAAA", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    signature = desk.team.private_key().sign(pae, ec.ECDSA(hashes.SHA256()))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(signature).decode(), "keyid": ""}]
    whole = {**FILES, "model.sig": json.dumps(bundle).encode()}
    (found,) = desk.facts(whole)
    assert (found.form, found.covered, [check.valid for check in found.checks]) == ("v0.2", 4, [True])
    assert desk.judged(whole) == []
    assert desk.judged({**whole, "README.md": b"other"}) == [("reject", "publisher.mismatch")]


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("model.sig", True),
        ("MODEL.SIG", True),
        ("weights.sig", True),
        ("model.sigstore", True),
        ("model.sigstore.json", True),
        ("signature.json", False),
        ("model.sig.bak", False),
    ],
)
def test_signatures_are_known_by_their_names_or_by_the_policy(desk: Desk, path: str, seen: bool) -> None:
    whole = {**FILES, path: desk.signed()}
    assert bool(desk.facts(whole)) == seen
    (found,) = desk.facts(whole, named=(path,))
    assert (found.path, found.uncovered) == (path, ())


def test_files_with_such_a_name_that_are_something_else_are_no_model_signatures(desk: Desk) -> None:
    pgp, wheel = (
        b"\x89\x01\x33",
        json.dumps({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": {}}),
    )
    found = desk.facts({**FILES, "model.safetensors.sig": pgp, "x.sigstore.json": wheel.encode()})
    assert [one.path for one in found if not one.problem] == []
    assert "x.sigstore.json" not in {one.path for one in found}


def test_a_signature_in_a_folder_covers_that_folder(desk: Desk) -> None:
    below = {f"part/{path}": content for path, content in FILES.items()} | {"part/model.sig": desk.signed()}
    (found,) = desk.facts(below)
    assert (found.covered, found.missing, found.uncovered) == (4, (), ())
    assert desk.judged(below) == []
    (found,) = desk.facts({**below, "config.json": b"{}"})
    assert found.uncovered == ("config.json",)


def test_two_signatures_do_not_stand_in_each_others_way(desk: Desk) -> None:
    whole = {**FILES, "model.sig": desk.signed(), "other.sig": desk.signed(by=desk.other)}
    assert [one.uncovered for one in desk.facts(whole)] == [(), ()]
    assert desk.judged(whole) == []
    stale = {**whole, "other.sig": desk.signed({**FILES, "README.md": b"before"}, by=desk.other)}
    assert desk.judged(stale) == [("reject", "publisher.mismatch")], "a broken promise, whoever made it"


def test_empty_files_are_in_no_shard(desk: Desk) -> None:
    whole = {**FILES, "__init__.py": b""}
    signature = desk.signed(whole, how=METHODS["shards"])
    assert desk.judged({**whole, "model.sig": signature}) == []
    assert desk.judged({**whole, "model.sig": signature, "__init__.py": b"x"}) == [("reject", "publisher.uncovered")]


def test_a_check_is_made_once_and_a_new_key_needs_the_signature_alone(desk: Desk) -> None:
    whole = {**FILES, "model.sig": desk.signed()}
    (found,) = desk.facts(whole)
    assert PublisherSignature.from_json(json.loads(json.dumps(found.to_json()))) == found

    def never(_: Path) -> Any:
        raise AssertionError

    assert check_again(found, desk.store, [desk.anchor], never) == found
    other = key_anchor(desk.other.public)
    again = check_again(found, desk.store, [desk.anchor, other], in_this_process)
    assert {check.anchor: check.valid for check in again.checks} == {desk.anchor.id: True, other.id: False}
    assert check_again(again, desk.store, [desk.anchor, other], never) == again


def test_the_child_says_what_this_process_says(desk: Desk) -> None:
    whole = {**FILES, "model.sig": desk.signed()}
    assert examine(model(desk.store, whole), desk.store, [desk.anchor], Silent()) == desk.facts(whole)


def test_the_reference_implementation_agrees(desk: Desk) -> None:
    """What it accepts and refuses, we do; but for shards and BLAKE2: 1.1.1 writes those and cannot verify them."""
    cases = {
        "whole": FILES,
        "altered": {**FILES, "README.md": b"other"},
        "fewer": {path: content for path, content in FILES.items() if path != "README.md"},
        "more": {**FILES, "extra.bin": b"x"},
    }
    for method in ("files", "files, blake3"):
        signature = desk.signed(how=METHODS[method])
        for what, files in cases.items():
            place = desk.folder / f"{method} {what}"
            signed(_made(place), files, desk.other)
            (place / "model" / "model.sig").write_bytes(signature)
            config = verifying.Config().use_elliptic_key_verifier(public_key=desk.team.public)
            try:
                config.verify(place / "model", place / "model" / "model.sig")
                accepted = True
            except ValueError:
                accepted = False
            assert accepted == (desk.judged({**files, "model.sig": signature}) == []) == (what == "whole"), (
                method,
                what,
            )


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def test_reports_of_others_about_files_beside_the_model(desk: Desk) -> None:
    """sigstore/model-transparency 374 (an unsigned .gitattributes), 605 (git's files were signed after all).

    sigstore/model-validation-operator 61: a download leaves `.cache` beside the model.
    """
    left = {".gitattributes": b"*", ".cache/huggingface/download/x.metadata": b"y"}
    assert desk.judged({**FILES, **left, "model.sig": desk.signed()}) == []
    of_git = [*all_files(), resource(".gitattributes", b"*"), resource(".git/HEAD", b"ref")]
    signature = resigned(desk.signed(), saying(desk, of_git), desk.team)
    assert desk.judged({**FILES, "model.sig": signature}) == []
    assert desk.judged({**FILES, ".gitattributes": b"*", "model.sig": signature}) == []
    assert desk.judged({**FILES, ".gitattributes": b"other", "model.sig": signature}) == [
        ("reject", "publisher.mismatch")
    ]
    code = {"__pycache__/modeling.pyc": b"code", "model.sig": desk.signed()}
    assert desk.judged({**FILES, **code}) == [("reject", "publisher.uncovered")], "what Python loads is no litter here"


def test_the_message_names_the_files_that_differ(desk: Desk) -> None:
    """sigstore/model-transparency 487: “signature mismatch” alone helps nobody."""
    whole = {**FILES, "README.md": b"edited", "model.sig": desk.signed()}
    (told,) = [one[2] for one in judge_publishers(model(desk.store, whole), desk.facts(whole), STANDARD)]
    assert told == "The model is not what its publisher signed: other bytes were signed of README.md."
