"""The documents of a bundle, read strictly: index, signature, and one a version. Whatever else one says is refused.

Not here: their values (domain.bundle), and whether what they say is believed (intake.unbundling).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from weighbridge.content.bundles.layout import (
    MAX_DOCUMENT,
    MAX_DOCUMENTS,
    SIGNATURE_FORMAT,
    blob_path,
    document_path,
)
from weighbridge.domain.bundle import FORMAT, BundledVersion, BundleIndex, BundleMember, Signature
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.names import checked_name
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import Level, ScanReport, Status
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.text import shown
from weighbridge.errors import IntegrityError, UsageError, WeighbridgeError

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
#: The most bytes of a blob: no file system holds more.
_MOST = 2**63 - 1
_Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Sha256 = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
_Size = Annotated[int, Field(ge=0, le=_MOST)]
_PART = "(0|[1-9][0-9]{0,8})"
_Number = Annotated[str, Field(pattern=rf"^{_PART}\.{_PART}\.{_PART}([-+][0-9A-Za-z.+-]{{1,80}})?$")]
_Short = Annotated[str, Field(max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _IndexMember(_Strict):
    path: Annotated[str, Field(max_length=90)]
    size: _Size
    sha256: _Hex


class _IndexVersion(_Strict):
    name: _Short
    version: _Number
    document: _Short


class _Index(_Strict):
    format: str
    versions: Annotated[list[_IndexVersion], Field(min_length=1)]
    members: list[_IndexMember]


class _Signature(_Strict):
    format: str
    key: _Short
    signature: _Short


class _Ref(_Strict):
    kind: Annotated[str, Field(pattern="^[a-z][a-z0-9+.-]{0,60}$")]
    id: Annotated[str, Field(min_length=1, max_length=4096)]
    revision: _Short
    options: list[Annotated[list[_Short], Field(min_length=2, max_length=2)]]


class _File(_Strict):
    path: str
    size: _Size
    digest: _Sha256


class _CardField(_Strict):
    value: JsonValue
    read_from: str


class _Reason(_Strict):
    effect: Literal["reject", "warn", "waive"]
    rule: _Short
    message: str
    path: str
    report: str


class _Decision(_Strict):
    verdict: Literal["PASSED"]
    policy: _Short
    policy_digest: _Short
    reasons: list[_Reason]
    reports: list[_Short]


class _Finding(_Strict):
    rule: _Short
    level: Level
    message: str
    location: str


class _Report(_Strict):
    digest: _Sha256
    scanner: _Short
    version: _Short
    rules: _Short
    subject: _Short
    status: Status
    bytes_covered: _Size
    bytes_total: _Size
    reason: str
    findings: list[_Finding]
    engine: dict[str, str]


class _Interval(_Strict):
    low: float
    high: float
    level: float


class _Metric(_Strict):
    name: str
    value: float | None
    unit: str
    n: int
    interval: _Interval | None
    reason: str
    better: Literal["higher", "lower"]


class _Result(_Strict):
    benchmark: _Short
    definition: _Short
    manifest_digest: _Sha256
    metrics: list[_Metric]
    settings: dict[str, JsonValue]
    hardware: dict[str, JsonValue]
    software: dict[str, str]
    noisy: str
    failure: str
    cause: _Short
    started_at: _Short
    duration_s: float
    samples: dict[str, list[float | None]]


class _Declared(_Strict):
    architecture: str | None = None
    parameter_count: int | None = None
    description: str | None = None
    context_length: int | None = None
    license_type: str | None = None
    license_restrictions: dict[str, JsonValue] | None = None
    requirements: dict[str, JsonValue] | None = None
    tags: list[str] | None = None


class _Licence(_Strict):
    expression: str
    acknowledge: bool


class _Version(_Strict):
    name: _Short
    version: _Number
    source: str
    ref: _Ref
    gated: bool
    manifest: _Sha256
    files: Annotated[list[_File], Field(min_length=1)]
    card: dict[str, _CardField]
    decision: _Decision
    decided_at: Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(\+00:00|Z)?)?$")]
    reports: list[_Report]
    results: list[_Result]
    declared: _Declared
    declared_by: _Short
    changelog: str
    licence: _Licence


def read_index(content: bytes, bundle: str) -> BundleIndex:
    """Return the index of a bundle.

    Raises:
        UsageError: it is of another format.
        IntegrityError: it names a file twice, or one that no bundle has, or is no index.
    """
    return _read(lambda: _index(_parsed(_Index, content, FORMAT, bundle)), "index", bundle)


def read_signature(content: bytes, bundle: str) -> Signature:
    """Return the signature of a bundle. Raises UsageError and IntegrityError as `read_index` does."""
    return _read(lambda: _signature(_parsed(_Signature, content, SIGNATURE_FORMAT, bundle)), "signature", bundle)


def read_version(content: bytes, bundle: str) -> BundledVersion:
    """Return a version of a bundle. Raises IntegrityError where it contradicts itself, or is none."""
    return _read(lambda: _version(_Version.model_validate_json(content)), "description of a version", bundle)


def _read(read: Callable[[], T], what: str, bundle: str) -> T:
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
        raise _wrong(bundle, what, why) from error
    except (UsageError, IntegrityError):
        raise
    except (WeighbridgeError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _wrong(bundle, what, str(error)) from error


def _wrong(bundle: str, what: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"The {what} in the bundle {bundle} is not one that Weighbridge writes: {shown(why, 300)}.",
        "Nothing was imported. Copy the file again; if it stays so, ask the side that made it for another one.",
        bundle=bundle,
    )


def _parsed(model: type[M], content: bytes, expected: str, bundle: str) -> M:
    """Return a document, if it is of our format: another one may have other fields."""
    said = json.loads(content)
    found = said.get("format") if isinstance(said, dict) else None
    if found != expected:
        raise UsageError(
            f"The bundle {bundle} is of the format {shown(found, 60)}, and this Weighbridge reads {expected}.",
            "Import it with the version that wrote it or a later one, or pack it anew with this version.",
            format=shown(found, 60),
        )
    return model.model_validate_json(content)


def _index(found: _Index) -> BundleIndex:
    count = len(found.versions)
    members = [BundleMember(one.path, one.size, Digest("sha256", one.sha256)) for one in found.members]
    documents, blobs = members[:count], members[count:]
    paths = [document_path(number) for number in range(1, count + 1)]
    if [one.path for one in documents] != paths or [one.document for one in found.versions] != paths:
        raise ValueError("its versions are not in order")
    if max(one.size for one in documents) > MAX_DOCUMENT or sum(one.size for one in documents) > MAX_DOCUMENTS:
        raise ValueError("its versions have descriptions too large to be read")
    if [one.path for one in blobs] != [blob_path(one.digest) for one in blobs]:
        raise ValueError("it names a file that no bundle has")
    hexes = [one.digest.hex for one in blobs]
    if sorted(set(hexes)) != hexes:
        raise ValueError("its blobs are not in order, or one is there twice")
    versions = tuple((checked_name(one.name), one.version) for one in found.versions)
    if len(set(versions)) != count:
        raise ValueError("it has one version twice")
    return BundleIndex(versions, tuple(documents), tuple(blobs))


def _signature(found: _Signature) -> Signature:
    try:
        return Signature(found.key, base64.b64decode(found.signature, validate=True))
    except binascii.Error as error:
        raise ValueError("it is not in base64") from error


def _version(found: _Version) -> BundledVersion:
    options = tuple((name, value) for name, value in found.ref.options)
    ref = ModelRef(found.ref.kind, found.ref.id, found.ref.revision, options)
    files = tuple(FileEntry(one.path, one.size, Digest.parse(one.digest)) for one in found.files)
    manifest = Manifest(ref, files, gated=found.gated)
    if str(manifest.digest) != found.manifest:
        raise ValueError("its files are not those of its manifest")
    sizes = {str(entry.digest): entry.size for entry in files}
    if any(sizes.get(one.digest) != one.bytes_total for one in found.reports):
        raise ValueError("a report is about none of its files")
    if any(one.manifest_digest != found.manifest for one in found.results):
        raise ValueError("a result is of other files")
    return BundledVersion(
        name=checked_name(found.name),
        number=found.version,
        manifest=manifest,
        card=ModelCard.from_json({name: dict(one) for name, one in found.card.items()}),
        decision=Decision.from_json(found.decision.model_dump()),
        decided_at=found.decided_at,
        reports=tuple(ScanReport.from_json(one.model_dump()) for one in found.reports),
        results=tuple(map(_result, found.results)),
        declared=found.declared.model_dump(exclude_none=True),
        declared_by=found.declared_by,
        changelog=found.changelog,
        licence=found.licence.expression,
        acknowledge=found.licence.acknowledge,
    )


def _result(found: _Result) -> BenchmarkResult:
    content: dict[str, Any] = found.model_dump()
    result = BenchmarkResult.from_json(content)
    if not result.comparable_key:  # It is computed of what the machine says; nonsense there fails here.
        raise ValueError("a result has no machine")
    return result
