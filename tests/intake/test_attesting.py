"""Attesting: statements that are the same twice, valid by the published schemas, and verified check by check.

Each field of a statement is altered once, with a new signature by the trusted key and without; and reports of peers are
tried: cosign, in-toto, DSSE, Witness, model-transparency.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from tests.catalog.values import CARD, decision, digest, report
from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.attestations import FETCHED, JUDGED, PAYLOAD_TYPE, SCANNED, SUMMARY, VERIFIED
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import InvalidConfiguration, NotConfigured, StateConflict, UsageError
from weighbridge.intake.attesting import Attestation, AttestationProof, AttestationRequest, export, verify
from weighbridge.signing.envelopes import signed
from weighbridge.signing.keys import AttestationKey, made_key, own_key

FILES = {"config.json": b"{}", "sub/größe ½.safetensors": b"weights", "a b+c%20.txt": b""}
NAME = "org/name"
CHECKS = ["file", "payload type", "signature", "statement", "subjects", "steps", "verdict"]
OF_FOLDER = ["missing", "altered", "extra", "manifest"]


class Ticking:
    """A clock that goes on by a minute whenever it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@dataclass
class Place:
    """An installation with one version that passed, and its files in a folder."""

    settings: Settings
    catalog: Catalog
    folder: Path

    @property
    def version(self) -> ModelVersion:
        found = self.catalog.get(NAME)
        assert found is not None
        return found

    @property
    def key(self) -> AttestationKey:
        key = own_key(self.settings.folder)
        assert key is not None
        return key

    def export(self, step: str = "") -> Attestation:
        return export(self.version, self.catalog, self.settings, step)

    def verify(self, content: bytes, *, folder: Path | None = None, **request: Any) -> AttestationProof:
        file = self.settings.folder / "attested.jsonl"
        file.write_bytes(content)
        where = str(folder) if folder is not None else ""
        return verify(AttestationRequest(str(file), where, **request), self.settings, Silent())

    def resigned(self, change: Callable[[list[dict[str, Any]]], None], *, named: bool = False) -> bytes:
        """Return what is exported, with statements changed and signed again by the trusted key.

        Args:
            change: what changes them.
            named: whether the summary names the statements as they are then.
        """
        values = [json.loads(one.content) for one in self.export().statements]
        change(values)
        if named:
            for at, value in enumerate(values[1:]):
                values[0]["predicate"]["inputAttestations"][at]["digest"] = {"sha256": digest(_text(value)).hex}
        return b"\n".join(signed(_text(value).encode(), PAYLOAD_TYPE, self.key) for value in values)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def failed(proof: AttestationProof) -> list[str]:
    assert proof.verified == (not [check for check in proof.checks if not check.passed])
    return [check.name for check in proof.checks if check.passed is False]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home")
    entries = tuple(FileEntry(path, len(content), digest(content.decode())) for path, content in FILES.items())
    reports = (report(), report(scanner="pickles"), replace(report("{}", status="skipped"), reason="not applicable"))
    with Catalog.open(f"sqlite:///{home}/catalog.db", Ticking()) as catalog:
        source, ref = "hf:org/name@" + "a" * 40, ModelRef("huggingface", NAME, "a" * 40)
        catalog.settle_version(
            NAME, source, Manifest(ref, entries), CARD, decision("PASSED", reports), reports, lambda _: "1.0.0"
        )
        folder = home / "model"
        for path, content in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        made_key(home)
        yield Place(Settings(home=home), catalog, folder)


@pytest.fixture
def copy(place: Place, tmp_path: Path) -> Path:
    """Return a copy of the model's folder, to be changed."""
    for path, content in FILES.items():
        (tmp_path / "m" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / path).write_bytes(content)
    return tmp_path / "m"


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
            envelope["payload"] = base64.b64encode(_text(changed).encode()).decode()
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


class TestReportsOfPeers:
    """Public reports of bugs of verifiers, tried here."""

    def test_a_payload_that_is_no_statement(self, place: Place) -> None:
        """sigstore/cosign GHSA-w6c6-c85g-mmv6: a valid signature over a malformed payload was "Verified OK"."""
        for payload in (b"", b"not JSON", b"[]", b'{"_type": "https://in-toto.io/Statement/v1"}', b"\xff"):
            proof = place.verify(signed(payload, PAYLOAD_TYPE, place.key))
            assert failed(proof) == ["statement"]

    def test_no_attestation_of_the_type_in_question(self, place: Place) -> None:
        """sigstore/cosign CVE-2022-35929: any valid attestation counted where none of the type was there."""
        done = place.export()
        assert failed(place.verify(b"\n".join(done.envelopes[1:]))) == ["steps"]
        other = place.resigned(lambda values: values[0].update(predicateType="https://spdx.dev/Document"))
        assert failed(place.verify(other)) == ["statement"]

    def test_a_payload_of_another_type(self, place: Place) -> None:
        """sigstore/cosign#1249: the type has to be in-toto's, also where it is signed."""
        for kind in ("application/json", f"{PAYLOAD_TYPE};v=2", PAYLOAD_TYPE.upper(), " " + PAYLOAD_TYPE):
            content = b"\n".join(signed(one.content, kind, place.key) for one in place.export().statements)
            assert failed(place.verify(content)) == ["payload type"]
            unsigned = place.export().content.replace(PAYLOAD_TYPE.encode(), kind.encode())
            assert failed(place.verify(unsigned)) == ["payload type", "signature"]

    def test_no_subject(self, place: Place, copy: Path) -> None:
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
    def test_digests_and_names_of_another_kind(self, place: Place, subject: Any) -> None:
        """in-toto/attestation#349, sigstore/model-transparency#647: algorithms, empty names, ways out of the folder."""

        def put(values: list[dict[str, Any]]) -> None:
            for value in values:
                at = next(at for at, one in enumerate(value["subject"]) if one.get("name") == "config.json")
                value["subject"][at] = subject

        assert failed(place.verify(place.resigned(put), folder=place.folder))[0] == "statement"

    def test_a_subset_of_the_files(self, place: Place, copy: Path) -> None:
        """sigstore/model-transparency#111, sigstore-rs#596: one matching subject is not the model."""
        (copy / "config.json").unlink()
        assert failed(place.verify(place.export().content, folder=copy)) == ["missing"]

    def test_further_files(self, place: Place, copy: Path) -> None:
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

    def test_keys_of_others_beside_ours(self, place: Place, tmp_path: Path) -> None:
        """in-toto/witness#194: with several trusted keys, the first that fails must not end it."""
        others = [made_key(tmp_path / str(at))[0] for at in range(3)]
        paths = []
        for at, key in enumerate([*others, place.key]):
            paths.append(str(tmp_path / f"{at}.pub"))
            Path(paths[-1]).write_text(key.public.pem)
        content = place.export().content
        assert place.verify(content, keys=tuple(paths)).signed_by == ("3",)
        assert failed(place.verify(content, keys=tuple(paths[:3]))) == ["signature"]


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


def test_statements_for_other_files(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.bin").write_bytes(b"other")
    proof = place.verify(place.export().content, folder=tmp_path / "other")
    assert failed(proof) == ["missing", "extra"]
    assert proof.checks[-1].passed is None


def test_altered_files(place: Place, copy: Path) -> None:
    content = place.export().content
    (copy / "config.json").write_bytes(b"[]")
    assert failed(place.verify(content, folder=copy)) == ["altered"]
    (copy / "config.json").unlink()
    (copy / "config.json").mkdir()
    assert failed(place.verify(content, folder=copy)) == ["missing"]


def test_links_and_what_is_no_file(place: Place, copy: Path, tmp_path: Path) -> None:
    """A link to a file is read as loaders read it, as in a cache of the Hub; the rest is not the file."""
    content = place.export().content
    (tmp_path / "blob").write_bytes(b"{}")
    (copy / "config.json").unlink()
    (copy / "config.json").symlink_to(tmp_path / "blob")
    assert failed(place.verify(content, folder=copy)) == []
    (tmp_path / "blob").unlink()
    assert failed(place.verify(content, folder=copy)) == ["altered"]
    (copy / "config.json").unlink()
    os.mkfifo(copy / "config.json")
    assert failed(place.verify(content, folder=copy)) == ["altered"]
    (copy / "config.json").unlink()
    (copy / "config.json").write_bytes(b"{}")
    (copy / "more").symlink_to(tmp_path)
    (copy / os.fsdecode(b"\xff")).write_bytes(b"")
    proof = place.verify(content, folder=copy)
    assert (failed(proof), len(proof.checks[-2].paths)) == (["extra"], 2)
    json.dumps(proof.to_json()).encode()


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
