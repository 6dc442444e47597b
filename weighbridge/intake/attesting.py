"""Attesting: exports what was decided of a version as signed statements, and verifies such a file.

Not here: what statements say (domain.attestations), and the envelopes (signing.envelopes).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.attestation_checks import (
    AttestationCheck,
    check_folder,
    check_steps,
    check_subjects,
    check_verdict,
)
from weighbridge.domain.attestation_reading import InvalidStatement, read_statement
from weighbridge.domain.attestations import (
    JUDGED,
    PAYLOAD_TYPE,
    STEPS,
    SUMMARY,
    AttestedDecision,
    InTotoStatement,
    statements_of,
)
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.progress import Progress
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import ChangedMeanwhile, InvalidConfiguration, NotConfigured, StateConflict, UsageError
from weighbridge.intake import lookup
from weighbridge.intake.attested_folder import files_of
from weighbridge.signing.envelopes import MAX_SIZE, InvalidEnvelope, SignedPayload, read_envelopes, signed
from weighbridge.signing.keys import AttestationKey, AttesterKey, keys_of, own_key, trusted_keys
from weighbridge.system import whole_files

#: What makes a version's status what it is; the newest of these rows says when.
_DECIDING = ("version.settled", "version.withdrawn", "version.reinstated")
_VERDICTS = ("PASSED", "FAILED", "SKIPPED")
_TRIES = 5


@dataclass(frozen=True)
class Attestation:
    """A decision as it was exported.

    Attributes:
        version: of which model.
        statements: what was said, in the order of `envelopes`.
        envelopes: a line of JSON for each.
        key: the public half of the key that signed.
    """

    version: ModelVersion
    statements: tuple[InTotoStatement, ...]
    envelopes: tuple[bytes, ...]
    key: AttesterKey

    @property
    def content(self) -> bytes:
        """The file: an envelope a line."""
        return b"".join(line + b"\n" for line in self.envelopes)

    @property
    def result(self) -> str:
        """What a verification summary says: PASSED, or FAILED."""
        return "PASSED" if self.version.status == "PASSED" else "FAILED"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "name": self.version.name,
            "version": self.version.version,
            "result": self.result,
            "manifest_digest": str(self.version.manifest.digest),
            "key": self.key.id,
            "statements": [
                {"predicate_type": one.predicate_type, "digest": str(one.digest), "size": len(one.content)}
                for one in self.statements
            ],
        }


@dataclass(frozen=True)
class AttestationProof:
    """What verifying a file came to.

    Attributes:
        file: its name.
        checks: in their order; those after a failed one may not have been made.
        model: `NAME@VERSION` as the installation calls it that signed; empty where the file does not say.
        signed_by: the names of the trusted keys.
    """

    file: str
    checks: tuple[AttestationCheck, ...]
    model: str = ""
    signed_by: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Return whether every check was made and holds."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "file": self.file,
            "verified": self.verified,
            "model": self.model or None,
            "signed_by": list(self.signed_by),
            "checks": [{"number": at, **check.to_json()} for at, check in enumerate(self.checks, start=1)],
        }


@dataclass(frozen=True)
class AttestationRequest:
    """What to verify; plain values.

    Attributes:
        file: the file with the envelopes.
        folder: the folder with the model's files; empty to leave them out.
        keys: files with the public keys to trust in the place of those that are trusted here.
        verifier: the URI of the installation whose word is expected; empty for any that a trusted key signs for.
    """

    file: str
    folder: str = ""
    keys: tuple[str, ...] = ()
    verifier: str = ""


def export(version: ModelVersion, catalog: Catalog, settings: Settings, step: str = "") -> Attestation:
    """Return the decision on a version as statements, signed by this installation's key.

    Two exports of one decision have equal statements: their time is that of the decision. A version that did not pass,
    or was withdrawn, has a summary that says FAILED.

    Args:
        version: the version, as the catalog has it.
        catalog: the catalog.
        settings: those of this installation.
        step: a word of `STEPS`, for its statement alone.

    Raises:
        StateConflict: there is no verdict yet, or no key.
        NotConfigured: the key cannot be used.
    """
    key = _key(settings)
    version, decided_at = _decided(version, catalog)
    verifier = settings.serve_url or f"urn:weighbridge:verifier:{key.public.id}"
    each = statements_of(AttestedDecision(version, decided_at, verifier))
    chosen = tuple(one for one in each if not step or one.predicate_type == STEPS[step])
    envelopes = tuple(signed(one.content, PAYLOAD_TYPE, key) for one in chosen)
    return Attestation(version, chosen, envelopes, key.public)


def write(attestation: Attestation, target: Path) -> None:
    """Write an attestation into a file, which appears whole. Raises UsageError where that is not possible."""
    try:
        whole_files.write(target.absolute(), attestation.content)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.", "Name another file.") from error


def verify(request: AttestationRequest, settings: Settings, progress: Progress) -> AttestationProof:
    """Verify a file of envelopes, check by check, and the files of a folder against it.

    1. `file`: it consists of envelopes.
    2. `payload type`: each holds a statement of in-toto.
    3. `signature`: each is signed by a key that is trusted here.
    4. `statement`: each is valid, with a predicate that is known here.
    5. `subjects`: all are about the same files, and the manifest is theirs.
    6. `steps`: the verdict rests on the statements beside it.
    7. `verdict`: it is PASSED, by the expected installation.
    8. `missing`, `altered`, `extra`, `manifest`: the folder has exactly these files.

    Raises:
        UsageError: there is no such file or folder.
        InvalidConfiguration: a trusted key cannot be used, or there is none.
    """
    keys = keys_of(map(Path, request.keys)) if request.keys else trusted_keys(settings.folder)
    if not keys:
        raise InvalidConfiguration(
            "No key is trusted here.", f"Name one with --key, or put it into {settings.folder / 'attestation-keys'}."
        )
    checks, payloads, signers = _envelope_checks(_content(request.file), keys)
    statements: tuple[InTotoStatement, ...] = ()
    if all(check.passed for check in checks):
        check, statements = _statement_check(payloads)
        checks.append(check)
    if statements:
        checks.append(check_subjects(statements))
        checks.append(check_steps(statements))
        summary = next((one.predicate for one in statements if one.predicate_type == SUMMARY), None)
        if summary is not None and checks[-1].passed:
            checks.append(check_verdict(summary, request.verifier))
        if request.folder and checks[4].passed:
            checks += check_folder(statements[0], files_of(Path(request.folder), progress))
    judged = next((one.predicate for one in statements if one.predicate_type == JUDGED), None)
    return AttestationProof(
        file=request.file,
        checks=(*checks, *_not_made(checks, bool(request.folder))),
        model=f"{judged['model']}@{judged['version']}" if judged else "",
        signed_by=tuple(dict.fromkeys(signers)),
    )


def _envelope_checks(
    content: bytes, keys: tuple[AttesterKey, ...]
) -> tuple[list[AttestationCheck], tuple[SignedPayload, ...], list[str]]:
    try:
        payloads = read_envelopes(content)
    except InvalidEnvelope as error:
        return [AttestationCheck("file", False, f"It does not consist of envelopes: {error}.")], (), []
    count = "1 envelope" if len(payloads) == 1 else f"{len(payloads)} envelopes"
    checks = [AttestationCheck("file", True, f"It has {count}.")]
    other = next((one.payload_type for one in payloads if one.payload_type != PAYLOAD_TYPE), "")
    text = f"An envelope holds {shown(other, 100)}, not a statement." if other else f"Each holds {PAYLOAD_TYPE}."
    checks.append(AttestationCheck("payload type", not other, text))
    signers = [one.signer(keys) for one in payloads]
    names = [one.name for one in signers if one is not None]
    unsigned = len(payloads) - len(names)
    if unsigned:
        text = f"{unsigned} of {count} has no valid signature by a key that is trusted here."
    else:
        text = f"Signed by {', '.join(dict.fromkeys(names))}."
    checks.append(AttestationCheck("signature", not unsigned, text))
    return checks, payloads, names if not unsigned else []


def _statement_check(payloads: tuple[SignedPayload, ...]) -> tuple[AttestationCheck, tuple[InTotoStatement, ...]]:
    try:
        statements = tuple(read_statement(one.payload) for one in payloads)
    except InvalidStatement as error:
        return AttestationCheck("statement", False, f"A statement is not valid: {error}."), ()
    words = {kind: word for word, kind in STEPS.items()}
    text = ", ".join(words[one.predicate_type] for one in statements)
    return AttestationCheck("statement", True, f"Each is valid: {text}."), statements


def _not_made(checks: list[AttestationCheck], with_folder: bool) -> list[AttestationCheck]:
    """Return the checks that were not made, because an earlier one failed."""
    names = ["file", "payload type", "signature", "statement", "subjects", "steps", "verdict"]
    names += ["missing", "altered", "extra", "manifest"] if with_folder else []
    made = {check.name for check in checks}
    return [
        AttestationCheck(name, None, "Not checked, as an earlier check failed.") for name in names if name not in made
    ]


def _decided(version: ModelVersion, catalog: Catalog) -> tuple[ModelVersion, datetime]:
    """Return a version and when it became what it is, both of one moment."""
    for _ in range(_TRIES):
        rows = _deciding_rows(version, catalog)
        found = lookup.exact(catalog, version.name, version.version)
        if rows == _deciding_rows(version, catalog):
            break
    else:
        raise ChangedMeanwhile(f"{version.name}@{version.version} is being judged again.", "Try again.")
    if found.status not in _VERDICTS:
        raise StateConflict(f"{found.name}@{found.version} is {found.status}: there is no verdict yet.", "Try later.")
    times = [row.at for row in rows if row is not None]
    return found, max(times) if times else datetime.fromisoformat(found.created_at)


def _deciding_rows(version: ModelVersion, catalog: Catalog) -> list[AuditRow | None]:
    return [catalog.audit.last(f"{version.name}@{version.version}", action) for action in _DECIDING]


def _key(settings: Settings) -> AttestationKey:
    try:
        key = own_key(settings.folder)
    except InvalidConfiguration as error:
        raise NotConfigured(error.problem, error.remedy) from error  # Over HTTP, who asks is not to blame for it.
    if key is None:
        raise StateConflict(
            "This installation has no key to sign attestations with.",
            "`weighbridge attest key` makes one, on the machine of the installation.",
        )
    return key


def _content(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read(MAX_SIZE + 1)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", "Name a file that `attest export` wrote."
        ) from error
