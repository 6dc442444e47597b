"""Signatures by identities: a Sigstore of the tests signs, and its trusted root is what they are checked against."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.content.model_signatures.desk import STANDARD, Desk, all_files, saying, with_bundle
from tests.content.model_signatures.signing import FILES, model
from tests.simulators.sigstore import Sigstore
from weighbridge.config.publisher_keys import sigstore_anchor
from weighbridge.content.model_signatures.checking import PUBLIC_SIGSTORE, examine
from weighbridge.domain.progress import Silent
from weighbridge.domain.publisher_rules import judge_publishers
from weighbridge.domain.publishers import Anchor, PublisherRule

ADA, ISSUER = "ada@example.org", "https://issuer.example.org"
WORKFLOW = "https://github.com/nvidia/models/.github/workflows/release.yml@refs/tags/v1"


@pytest.fixture(scope="module")
def ours(desk: Desk) -> tuple[Sigstore, Anchor]:
    """A Sigstore and the anchor of its trusted root."""
    sigstore = Sigstore()
    path = desk.folder / "trusted_root.json"
    path.write_text(json.dumps(sigstore.trusted_root))
    return sigstore, sigstore_anchor(path)


def _statement(desk: Desk) -> bytes:
    return json.dumps(saying(desk, all_files())).encode()


def _judged(desk: Desk, bundle: bytes, rule: PublisherRule | None) -> list[str]:
    policy = replace(STANDARD, publishers=(rule,)) if rule else STANDARD
    whole = {**FILES, "model.sig": bundle}
    facts = desk.facts(whole, PUBLIC_SIGSTORE, *((rule.anchor,) if rule else ()))
    return [found[1] for found in judge_publishers(model(desk.store, whole), facts, policy)]


@pytest.mark.parametrize("identity", [ADA, WORKFLOW])
def test_an_identity_is_known_by_its_certificate(desk: Desk, ours: tuple[Sigstore, Anchor], identity: str) -> None:
    sigstore, anchor = ours
    bundle = sigstore.signed(_statement(desk), identity, ISSUER)
    (found,) = desk.facts({**FILES, "model.sig": bundle}, anchor, PUBLIC_SIGSTORE)
    check = found.check(anchor.id)
    assert check is not None
    assert (check.valid, check.identity, check.issuer, check.problem) == (True, identity, ISSUER, "")
    assert (found.intact, found.signers) == (True, (f"{identity} of {ISSUER}",))
    public = found.check(PUBLIC_SIGSTORE.id)
    assert public is not None
    assert not public.valid, "the public Sigstore has not vouched for it"


def test_another_identity_or_issuer_or_root_is_not_the_one_that_is_named(
    desk: Desk, ours: tuple[Sigstore, Anchor]
) -> None:
    sigstore, anchor = ours
    bundle = sigstore.signed(_statement(desk), ADA, ISSUER)
    for identity, issuer, objections in (
        (ADA, ISSUER, []),
        ("*@example.org", ISSUER, []),
        ("bob@example.org", ISSUER, ["publisher.untrusted"]),
        ("*@example.com", ISSUER, ["publisher.untrusted"]),
        (ADA, "https://accounts.google.com", ["publisher.untrusted"]),
        (ADA, "https://issuer*", ["publisher.untrusted"]),
    ):
        assert _judged(desk, bundle, PublisherRule("mock:*", anchor, identity, issuer)) == objections, identity
    named = PublisherRule("mock:*", PUBLIC_SIGSTORE, ADA, ISSUER)
    assert _judged(desk, bundle, named) == ["publisher.untrusted"], "by the same name, at another Sigstore"
    assert _judged(desk, bundle, None) == [], "a note: nobody knows that Sigstore"
    elsewhere = Sigstore().signed(_statement(desk), ADA, ISSUER)
    assert _judged(desk, elsewhere, PublisherRule("mock:*", anchor, ADA, ISSUER)) == ["publisher.untrusted"]


def _entry(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


#: What is altered in a bundle, and whether its certificate's signature still is one.
ALTERED = {
    "no log": (lambda one: one["verificationMaterial"].update(tlogEntries=[]), True),
    "another time": (lambda one: _entry(one).update(integratedTime="1700000000"), True),
    "no promise": (lambda one: _entry(one).pop("inclusionPromise"), True),
    "another root": (
        lambda one: _entry(one)["inclusionProof"].update(rootHash=base64.b64encode(bytes(32)).decode()),
        True,
    ),
    "another body": (lambda one: _entry(one).update(canonicalizedBody="e30="), True),
    "another checkpoint": (lambda one: _entry(one)["inclusionProof"]["checkpoint"].update(envelope="x"), True),
    "no certificate": (lambda one: one["verificationMaterial"]["certificate"].update(rawBytes="AAAA"), False),
    "another signature": (lambda one: one["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), False),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_bundle_that_was_altered_proves_nothing(desk: Desk, ours: tuple[Sigstore, Anchor], what: str) -> None:
    sigstore, anchor = ours
    change, intact = ALTERED[what]
    bundle = with_bundle(change)(sigstore.signed(_statement(desk), ADA, ISSUER))
    (found,) = desk.facts({**FILES, "model.sig": bundle}, anchor)
    assert (found.intact, [check.valid for check in found.checks if check.valid]) == (intact, [])
    objections = _judged(desk, bundle, PublisherRule("mock:*", anchor, ADA, ISSUER))
    assert objections == [*([] if intact else ["publisher.invalid"]), "publisher.untrusted"]


def test_a_signature_of_one_statement_does_not_fit_another(desk: Desk, ours: tuple[Sigstore, Anchor]) -> None:
    sigstore, anchor = ours
    other = base64.b64encode(json.dumps(saying(desk, all_files()[:1])).encode()).decode()
    bundle = with_bundle(lambda one: one["dsseEnvelope"].update(payload=other))(
        sigstore.signed(_statement(desk), ADA, ISSUER)
    )
    rule = PublisherRule("mock:*", anchor, ADA, ISSUER)
    assert _judged(desk, bundle, rule) == ["publisher.invalid", "publisher.untrusted"]
    assert "publisher.invalid" in _judged(desk, bundle, None), "a broken promise, demanded or not"


def test_a_child_without_a_network_verifies_an_identity(desk: Desk, ours: tuple[Sigstore, Anchor]) -> None:
    """The root of the public Sigstore is the library's own, and is read in the child as well."""
    sigstore, anchor = ours
    whole = {**FILES, "model.sig": sigstore.signed(_statement(desk), ADA, ISSUER)}
    (found,) = examine(model(desk.store, whole), desk.store, [anchor, PUBLIC_SIGSTORE], Silent())
    assert {check.anchor: check.valid for check in found.checks} == {anchor.id: True, PUBLIC_SIGSTORE.id: False}
    problem = next(check.problem for check in found.checks if not check.valid)
    assert "certificate chain" in problem, problem
