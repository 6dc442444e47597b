"""Attesting: statements that are the same twice, valid by the published schemas, and verified check by check.

Each field of a statement is altered once, with a new signature by the trusted key and without; what
peers reported is in test_attesting_peers, and folders are in test_attested_folder.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from sigstore.dsse import Statement as SigstoreStatement

from tests.catalog.values import CARD, decision
from tests.intake.attested_place import NAME, Place, attested_place, failed, written
from weighbridge.config.settings import Settings
from weighbridge.domain.attestations import FETCHED, JUDGED, PAYLOAD_TYPE, SCANNED, SUMMARY, VERIFIED
from weighbridge.domain.progress import Silent
from weighbridge.errors import InvalidConfiguration, NotConfigured, StateConflict, UsageError
from weighbridge.intake.attesting import AttestationRequest, export, verify
from weighbridge.signing.envelopes import signed
from weighbridge.signing.keys import made_key

CHECKS = ["file", "payload type", "signature", "statement", "subjects", "steps", "verdict"]
OF_FOLDER = ["missing", "altered", "extra", "manifest"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attested_place(tmp_path_factory.mktemp("home")) as found:
        yield found


def test_two_exports_have_equal_statements(place: Place) -> None:
    one, two = place.export(), place.export()
    assert [statement.content for statement in one.statements] == [statement.content for statement in two.statements]
    assert [one.predicate_type for one in one.statements] == [SUMMARY, FETCHED, VERIFIED, SCANNED, JUDGED]
    assert one.statements[0].predicate["timeVerified"] == "2026-11-29T12:01:00Z"
    assert place.export("scanned").statements == (one.statements[3],)


def test_statements_are_valid_by_the_published_schemas(place: Place) -> None:
    """Protobuf's reader of JSON refuses what a message does not define, and a text that is not valid Unicode."""
    for one in place.export().statements:
        message = json_format.Parse(one.content, statement_pb2.Statement())
        Statement.copy_from_pb(message).validate()
        SigstoreStatement(one.content)  # Of sigstore-python, which demands a name of every subject.
    summary = dict(place.export("verdict").statements[0].predicate)
    # A list in the specification, and in the schema since 2025-01; the package of Python has an older one.
    assert summary.pop("verifiedLevels") == ["SLSA_BUILD_LEVEL_UNEVALUATED"]
    found = json_format.ParseDict(summary, vsa_pb2.VerificationSummary())
    assert found.verification_result == "PASSED"
    assert found.time_verified.ToJsonString() == "2026-11-29T12:01:00Z"
    assert (found.resource_uri, found.policy.uri) == ("hf:org/name@" + "a" * 40, "urn:weighbridge:policy:standard")
    assert found.policy.digest["sha256"] == "f" * 64
    assert found.verifier.id == f"urn:weighbridge:verifier:{place.key.public.id}"
    assert len(found.input_attestations) == 4


def test_every_check_holds(place: Place) -> None:
    proof = place.verify(place.export().content, folder=place.folder)
    assert failed(proof) == []
    assert [check.name for check in proof.checks] == CHECKS + OF_FOLDER
    assert (proof.model, proof.signed_by) == ("org/name@1.0.0", ("own",))
    assert [check.name for check in place.verify(place.export().content).checks] == CHECKS
    alone = place.verify(place.export("verdict").content, folder=place.folder)
    assert failed(alone) == []
    assert failed(place.verify(place.export("scanned").content)) == ["steps"]


def test_the_expected_installation(place: Place) -> None:
    content = place.export().content
    assert failed(place.verify(content, verifier=f"urn:weighbridge:verifier:{place.key.public.id}")) == []
    assert failed(place.verify(content, verifier="https://elsewhere.example")) == ["verdict"]
    served = replace_settings(place, serve_url="https://models.example/registry")
    assert export(place.version, place.catalog, served).statements[0].predicate["verifier"] == {
        "id": "https://models.example/registry"
    }


def replace_settings(place: Place, **values: Any) -> Settings:
    return Settings(home=place.settings.home, **values)


def _fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value without parts is, and each list."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not parts or isinstance(value, list):
        yield path
    for name, part in parts:
        yield from _fields(part, (*path, name))


def _altered(value: Any) -> Any:
    if isinstance(value, str):
        return ("b" if value[:1] == "a" else "a") + value[1:]
    return value + 1 if isinstance(value, int) else ([*value, *value] if value else ["x"])


def _set(values: Any, path: tuple[Any, ...]) -> None:
    for name in path[:-1]:
        values = values[name]
    values[path[-1]] = _altered(values[path[-1]])


def test_every_field_is_signed(place: Place) -> None:
    """Whatever is altered without the key fails at the signature, and nothing after it is looked at."""
    done = place.export()
    count = 0
    for at, one in enumerate(done.statements):
        value = json.loads(one.content)
        for path in _fields(value):
            changed = json.loads(one.content)
            _set(changed, path)
            envelope = json.loads(done.envelopes[at])
            envelope["payload"] = base64.b64encode(written(changed).encode()).decode()
            lines = [*done.envelopes[:at], json.dumps(envelope).encode(), *done.envelopes[at + 1 :]]
            proof = place.verify(b"\n".join(lines))
            assert failed(proof) == ["signature"], path
            assert [check.passed for check in proof.checks[3:]] == [None] * 4
            count += 1
    assert count > 80


def test_what_a_signer_says_has_to_agree(place: Place) -> None:
    """Each field altered by the holder of the key: the verdict names the digests of the statements beside it."""
    count = 0
    for at in range(1, 5):
        for path in _fields(json.loads(place.export().statements[at].content)):
            content = place.resigned(lambda values, path=path, at=at: _set(values[at], path))
            names = failed(place.verify(content, folder=place.folder))
            assert names
            assert set(names) <= {"statement", "subjects", "steps"}, path
            count += 1
    assert count > 60


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda values: values[0]["predicate"].update(verificationResult="FAILED"), "steps"),
        (lambda values: values[0]["predicate"].update(verificationResult="passed"), "statement"),
        (lambda values: values[0]["predicate"].update(verifiedLevels=["FAILED"]), "verdict"),
        (lambda values: values[0]["predicate"].update(verifiedLevels=[]), "statement"),
        (lambda values: values[0]["predicate"].update(timeVerified="yesterday"), "statement"),
        (lambda values: values[0]["predicate"].update(timeVerified="2027-01-01T00:00:00Z"), "steps"),
        (lambda values: values[0]["predicate"].update(verifier={}), "statement"),
        (lambda values: values[0]["predicate"].update(inputAttestations=[{"uri": "x:y"}]), "statement"),
        (lambda values: values[0]["predicate"].update(inputAttestations=[]), "steps"),
        (lambda values: values[0]["predicate"].pop("inputAttestations"), "steps"),
        (lambda values: values[0]["predicate"].pop("policy"), "statement"),
        (lambda values: values[4]["predicate"].update(verdict="FAILED"), "steps"),
        (lambda values: values[4]["predicate"].update(verdict="SKIPPED"), "steps"),
        (lambda values: values[4]["predicate"]["policy"].update(sha256="0" * 64), "steps"),
        (lambda values: values[2]["predicate"]["files"][0].update(size=99), "subjects"),
        (lambda values: values[2]["predicate"]["files"].pop(), "subjects"),
        (lambda values: values[2]["predicate"]["manifest"].update(sha256="0" * 64), "subjects"),
        (lambda values: values[1].update(predicateType=SUMMARY), "statement"),
        (lambda values: values.pop(3), "steps"),
        (lambda values: values.append(values[3]), "steps"),
        (lambda values: values.append(values[0]), "steps"),
        (lambda values: values.pop(0), "steps"),
        (lambda values: values[2]["subject"].pop(), "subjects"),
        (lambda values: [value["subject"].pop(0) for value in values], "subjects"),
        (lambda values: [value["subject"].pop() for value in values], "subjects"),
        (lambda values: values[0].update(_type="https://in-toto.io/Statement/v0.1"), "statement"),
        (lambda values: values[0].update(predicate=[]), "statement"),
    ],
)
def test_statements_that_contradict_each_other(
    place: Place, change: Callable[[list[dict[str, Any]]], Any], check: str
) -> None:
    content = place.resigned(change, named=False)
    assert failed(place.verify(content))[0] == check


def test_a_changed_statement_that_the_verdict_names(place: Place) -> None:
    """With the right digests in the summary, what is left are the contradictions themselves."""
    for change, check in (
        (lambda values: values[4]["predicate"].update(verdict="FAILED"), "steps"),
        (lambda values: values[4]["predicate"].update(decidedAt="2026-11-29T12:02:00Z"), "steps"),
        (lambda values: values[2]["predicate"]["files"][0].update(size=99), "subjects"),
    ):
        assert failed(place.verify(place.resigned(change, named=True))) == [check]
    assert failed(place.verify(place.resigned(lambda values: None, named=True))) == []


def test_two_signatures(place: Place, tmp_path: Path) -> None:
    """A second signature by a key that is not trusted here takes nothing away (secure-systems-lab/dsse#40)."""
    other, _ = made_key(tmp_path)
    lines = []
    for line, one in zip(place.export().envelopes, place.export().statements, strict=True):
        envelope = json.loads(line)
        envelope["signatures"] = (
            json.loads(signed(one.content, PAYLOAD_TYPE, other))["signatures"] + envelope["signatures"]
        )
        lines.append(json.dumps(envelope).encode())
    assert failed(place.verify(b"\n".join(lines))) == []
    (tmp_path / "other.pub").write_text(other.public.pem)
    assert place.verify(b"\n".join(lines), keys=(str(tmp_path / "other.pub"),)).signed_by == ("other",)


def test_lines_of_several_signers_all_count(place: Place, tmp_path: Path) -> None:
    """One statement by a stranger among those of the trusted key fails the file."""
    other, _ = made_key(tmp_path)
    done = place.export()
    lines = [*done.envelopes[:4], signed(done.statements[4].content, PAYLOAD_TYPE, other)]
    assert failed(place.verify(b"\n".join(lines))) == ["signature"]


def test_a_hostile_file_ends_soon(place: Place) -> None:
    line = place.export("verdict").envelopes[0]
    for content in (b"[" * 1_000_000, b"\0" * 1000, line[:-1], line + b"\n" + line[:-1], b'{"payload":' * 100_000):
        assert failed(place.verify(content)) == ["file"]
    deep = b'{"_type":' + b"[" * 200_000
    assert failed(place.verify(signed(deep, PAYLOAD_TYPE, place.key))) == ["statement"]
    twice = place.export("verdict").statements[0].content.replace(b'"_type"', b'"predicateType":"x","_type"')
    assert failed(place.verify(signed(twice, PAYLOAD_TYPE, place.key))) == ["statement"]


def test_what_is_shown_of_a_hostile_statement_is_harmless(place: Place) -> None:
    def change(values: list[dict[str, Any]]) -> None:
        values[0]["predicateType"] = "\x1b[31m\ud800 evil"

    proof = place.verify(place.resigned(change))
    assert failed(proof) == ["statement"]
    assert "\x1b" not in json.dumps([check.message for check in proof.checks], ensure_ascii=False)


def test_without_a_trusted_key_nothing_is_verified(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(place.export().content)
    with pytest.raises(InvalidConfiguration, match="No key is trusted here"):
        verify(AttestationRequest(str(file)), Settings(home=tmp_path / "away"), Silent())
    with pytest.raises(UsageError, match="cannot be read"):
        verify(AttestationRequest(str(tmp_path / "none")), place.settings, Silent())
    with pytest.raises(UsageError, match="is not a folder"):
        place.verify(place.export().content, folder=file)


def test_without_a_key_nothing_is_exported(place: Place, tmp_path: Path) -> None:
    with pytest.raises(StateConflict, match="no key"):
        export(place.version, place.catalog, Settings(home=tmp_path))
    key, _ = made_key(tmp_path)
    (tmp_path / "attestation-key").chmod(0o644)
    with pytest.raises(NotConfigured, match="can be read"):
        export(place.version, place.catalog, Settings(home=tmp_path))
    assert key.public.id


def test_after_a_rotation_both_are_verified_until_the_old_key_is_taken_away(tmp_path: Path, place: Place) -> None:
    settings = Settings(home=tmp_path)
    made_key(tmp_path)
    (tmp_path / "old").write_bytes(export(place.version, place.catalog, settings).content)
    key, _ = made_key(tmp_path, rotate=True)
    (tmp_path / "new").write_bytes(export(place.version, place.catalog, settings).content)
    proofs = [verify(AttestationRequest(str(tmp_path / name)), settings, Silent()) for name in ("old", "new")]
    assert [failed(proof) for proof in proofs] == [[], []]
    assert [proof.signed_by[0].partition("-")[0] for proof in proofs] == ["own", "own"]
    (tmp_path / "attestation-keys" / f"{proofs[0].signed_by[0]}.pem").unlink()
    assert failed(verify(AttestationRequest(str(tmp_path / "old")), settings, Silent())) == ["signature"]
    assert key.public.id in (tmp_path / "new").read_text()


def test_what_did_not_pass_or_was_withdrawn_says_failed(place: Place) -> None:
    """Last, as it changes the version: a withdrawal has its own time, and a reinstatement another."""
    before = place.export().statements[0].predicate
    place.catalog.withdraw(NAME, "1.0.0", "it was recalled")
    version = place.catalog.get(NAME, "1.0.0")
    assert version is not None
    done = export(version, place.catalog, place.settings)
    summary, judged = done.statements[0].predicate, done.statements[4].predicate
    assert (summary["verificationResult"], summary["verifiedLevels"]) == ("FAILED", ["FAILED"])
    assert (judged["status"], judged["reasons"][0]["message"]) == ("FAILED", "it was recalled")
    assert summary["timeVerified"] > before["timeVerified"]
    proof = place.verify(done.content, folder=place.folder)
    assert failed(proof) == ["verdict"]
    place.catalog.reinstate(NAME, "1.0.0")
    again = place.export().statements[0].predicate
    assert (again["verificationResult"], again["timeVerified"] > summary["timeVerified"]) == ("PASSED", True)
    for verdict in ("FAILED", "SKIPPED"):
        settled = place.catalog.settle_version(
            NAME, version.source, version.manifest, CARD, decision(verdict), (), lambda _: "1.0.0"
        )
        done = export(settled, place.catalog, place.settings)
        assert done.statements[0].predicate["verificationResult"] == done.result == "FAILED"
        assert done.statements[4].predicate["verdict"] == verdict
