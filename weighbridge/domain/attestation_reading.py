"""Reading a statement of in-toto whose signature was verified: strictly, as a program decides by it.

Not here: making statements (domain.attestations), and what a file of several has to be (domain.attestation_checks).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from weighbridge.domain import strict_json
from weighbridge.domain.attestations import (
    FETCHED,
    JUDGED,
    MANIFEST_URI,
    SCANNED,
    STATEMENT_TYPE,
    SUMMARY,
    VERIFIED,
    AttestationSubject,
    InTotoStatement,
)
from weighbridge.domain.digest import Digest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.text import shown
from weighbridge.errors import UnsafePath

#: Whether a value is what a field has to hold.
_Holds = Callable[[Any], bool]
_SHA256 = re.compile("[0-9a-f]{64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_LEVEL = re.compile(r"[A-Z0-9_]{1,100}")


class InvalidStatement(ValueError):
    """A payload that is not a statement on a model; its message says why, for a sentence."""


def read_statement(content: bytes) -> InTotoStatement:
    """Return the statement in a payload.

    1. It is unambiguous JSON, and a statement of in-toto, version 1.
    2. It has subjects; each has a sha256 and nothing else, and is the manifest or a file with a path of its own.
    3. Its predicate is one that is known here, with every field that it must have.

    Raises:
        InvalidStatement: it is something else.
    """
    try:
        value = strict_json.parse(content)
    except strict_json.AmbiguousJson as error:
        raise InvalidStatement(str(error)) from error
    if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE:
        raise InvalidStatement(f"its _type is not {STATEMENT_TYPE}")
    kind, predicate = value.get("predicateType"), value.get("predicate")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise InvalidStatement(f"its predicate, {shown(kind, 100)}, is not one that this version knows")
    if not isinstance(predicate, dict):
        raise InvalidStatement("its predicate is not an object")
    _require_fields(predicate, kind)
    return InTotoStatement(_subjects(value.get("subject")), kind, predicate)


def _subjects(values: Any) -> tuple[AttestationSubject, ...]:
    if not isinstance(values, list) or not values:
        raise InvalidStatement("it is about nothing: it has no subject")
    subjects = tuple(_subject(value) for value in values)
    if len({(subject.path, subject.uri) for subject in subjects}) != len(subjects):
        raise InvalidStatement("two of its subjects have the same name")
    return subjects


def _subject(value: Any) -> AttestationSubject:
    digest = value.get("digest") if isinstance(value, dict) else None
    if not isinstance(digest, dict) or set(digest) != {"sha256"} or not _is_sha256(digest["sha256"]):
        raise InvalidStatement("a subject has no sha256, or a digest of another kind beside it")
    sha256 = Digest("sha256", digest["sha256"])
    name, uri = value.get("name", ""), value.get("uri", "")
    if uri == f"{MANIFEST_URI}{sha256}" and name in ("", uri):
        return AttestationSubject(sha256, uri=uri)
    if uri or not isinstance(name, str):
        raise InvalidStatement("a subject is neither a file nor the manifest")
    try:
        return AttestationSubject(sha256, path=safe_path(name))
    except UnsafePath as error:
        raise InvalidStatement(f"a subject has the name “{shown(name, 100)}”, which is not one of a file") from error


def _require_fields(predicate: Mapping[str, Any], kind: str) -> None:
    for name, holds in _FIELDS[kind].items():
        if name not in predicate or not holds(predicate[name]):
            raise InvalidStatement(f"the field {name} of its predicate is missing or invalid")
    for name, holds in _OPTIONAL.get(kind, {}).items():
        if name in predicate and not holds(predicate[name]):
            raise InvalidStatement(f"the field {name} of its predicate is invalid")


def _matches(pattern: re.Pattern[str]) -> _Holds:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _one_of(*values: str) -> _Holds:
    return lambda value: isinstance(value, str) and value in values


def _has(**fields: _Holds) -> _Holds:
    return lambda value: (
        isinstance(value, dict) and all(name in value and holds(value[name]) for name, holds in fields.items())
    )


def _each(holds: _Holds) -> _Holds:
    return lambda value: isinstance(value, list) and all(holds(one) for one in value)


_is_uri, _is_time = _matches(_URI), _matches(_TIME)
_has_sha256 = _has(sha256=_is_sha256)
_is_verdict = _one_of("PASSED", "FAILED", "SKIPPED")
_report_holds = _has(
    id=_is_text,
    sha256=_is_sha256,
    status=_one_of("completed", "partial", "skipped", "failed"),
    bytesCovered=_is_count,
    bytesTotal=_is_count,
    findings=_each(_has(rule=_is_text, level=_one_of("error", "warning", "note"), message=_is_text)),
)
#: The fields that each predicate must have; further ones are ignored, as in-toto demands.
_FIELDS: dict[str, dict[str, _Holds]] = {
    SUMMARY: {
        "verifier": _has(id=_is_uri),
        "timeVerified": _is_time,
        "resourceUri": _is_uri,
        "policy": _has(uri=_is_uri, digest=_has_sha256),
        "verificationResult": _one_of("PASSED", "FAILED"),
        "verifiedLevels": lambda value: _each(_matches(_LEVEL))(value) and bool(value),
    },
    FETCHED: {"source": _is_uri, "recordedAt": _is_text, "files": _is_count, "size": _is_count},
    VERIFIED: {
        "manifest": _has(format=_is_text, sha256=_is_sha256),
        "files": _each(_has(path=_is_text, size=_is_count, sha256=_is_sha256)),
    },
    SCANNED: {
        "scanners": _each(_has(scanner=_is_text, version=_is_text, rules=_is_text, reports=_each(_report_holds)))
    },
    JUDGED: {
        "model": _is_text,
        "version": _is_text,
        "verdict": _is_verdict,
        "status": _is_verdict,
        "decidedAt": _is_time,
        "policy": _has(name=_is_text, sha256=_is_sha256),
        "reasons": _each(_has(effect=_one_of("reject", "warn", "waive"), rule=_is_text, message=_is_text)),
    },
}
_OPTIONAL: dict[str, dict[str, _Holds]] = {
    SUMMARY: {"inputAttestations": _each(_has(digest=_has_sha256)), "slsaVersion": _matches(re.compile(r"\d+\.\d+"))}
}
