"""The documents of the API: what requests hold, and what answers give of the domain's values.

Not here: the JSON that commands print (views.schemas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, Field

from weighbridge.catalog import ModelSummary
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.declarations import ModelDeclaration, completed, contradictions, stated_licence
from weighbridge.domain.licence_terms import Restrictions, StatedLicence, restrictions_of
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.version import ModelVersion, VersionSummary
from weighbridge.intake.comparing import Difference as Compared


class RestrictionsDocument(BaseModel):
    """What a licence allows; null where nobody says."""

    commercial_use: bool | None
    derivatives: bool | None = Field(description="Whether changed models may be passed on.")
    monthly_active_users_limit: int | None = Field(description="Null for no limit, or where nobody says.")
    note: str = Field(description="The condition worth knowing; or empty.")


class Described(BaseModel):
    """What a model is: the files' word, and a person's where they say nothing; null where nobody says."""

    architecture: str | None = Field(None, examples=["llama"])
    parameter_count: int | None = Field(None, examples=[134515008])
    description: str | None = None
    context_length: int | None = Field(None, description="Tokens.", examples=[8192])
    task: str | None = Field(None, examples=["text-generation"])
    license_type: str | None = Field(None, examples=["apache-2.0"])
    license_restrictions: RestrictionsDocument | None = Field(
        None, description="Null where the licence is not known here, and nobody declared any."
    )
    requirements: dict[str, Any] | None = Field(None, examples=[{"min_gpu_memory_gb": 2}])
    tags: list[str] = []


class Model(Described):
    """A model in a list: its default version, or the latest where none is the default."""

    name: str = Field(examples=["smollm2-135m-instruct"])
    version: str = Field(description="The version that this describes.", examples=["1.0.0"])
    status: VersionStatus
    default_version: str | None = Field(description="Null where no version passed.", examples=["1.0.0"])
    versions: int = Field(description="How many there are.")
    size: int = Field(description="Bytes of all files.")
    files: int = Field(description="How many files.")
    gated: bool | None = Field(
        description="Whether its source gives it only to approved accounts; null where that is not known."
    )
    source: str = Field(examples=["hf:HuggingFaceTB/SmolLM2-135M-Instruct@12fd25f"])
    manifest_digest: str
    created_at: str = Field(description="ISO 8601, UTC.")
    updated_at: str = Field(description="ISO 8601, UTC.")


class CardField(BaseModel):
    """One value that was read from the model's files, and where."""

    value: Any
    read_from: str = Field(examples=["config.json#max_position_embeddings"])


class WholeModel(Model):
    """A model: what its files say and what people declared, side by side."""

    read: dict[str, CardField] = Field(description="What the model's files say, by field.")
    declared: dict[str, Any] | None = Field(
        description="What a person says, by field, with `declared_by` and `declared_at`; null where nobody did.",
        examples=[{"parameter_count": 7000000000, "declared_by": "key:ci", "declared_at": "2026-11-28T12:00:00+00:00"}],
    )
    warnings: list[str] = Field(description="Where the two contradict each other, a sentence each.")


class Page(BaseModel):
    """A part of a list."""

    next: str | None = Field(description="The `cursor` of the next part; null for the last one.")


class Models(Page):
    """Models."""

    items: list[Model]


class Version(Described):
    """A version in a list."""

    name: str = Field(examples=["smollm2-135m-instruct"])
    version: str = Field(examples=["1.0.0"])
    status: VersionStatus
    default: bool = Field(description="Whether people get it who name no version.")
    purged: bool = Field(description="Whether its bytes were deleted, so that only its verdict is left.")
    size: int = Field(description="Bytes of all files.")
    files: int = Field(description="How many files.")
    registries: list[str] = Field(description="The kinds of registries that have it.", examples=[["mlflow"]])
    source: str
    manifest_digest: str
    created_at: str = Field(description="ISO 8601, UTC.")


class Versions(Page):
    """Versions of a model, the latest first."""

    items: list[Version]


class ReasonDocument(BaseModel):
    """Why a verdict is what it is."""

    effect: Literal["reject", "warn", "waive"]
    rule: str = Field(examples=["licence.unknown"])
    message: str
    path: str = Field(description="The file that it is about, or empty.")
    report: str = Field(description="The id of the report that it rests on, or empty.")


class DecisionDocument(BaseModel):
    """The gate's verdict."""

    verdict: Literal["PASSED", "FAILED", "SKIPPED"]
    policy: str
    policy_digest: str
    reasons: list[ReasonDocument] = Field(description="Rejections first.")


class Published(BaseModel):
    """Where a version can be had."""

    registry: str
    location: str
    load: list[str] = Field(description="Lines of Python that load it from there.")
    address: str


class WholeVersion(Version):
    """A version with its card, the gate's decision, and where it can be had."""

    changelog: str = Field(description="What is new, in the words of whoever added it; or empty.")
    read: dict[str, CardField] = Field(description="What the files say, by field.")
    warnings: list[str] = Field(
        description="Where files and declaration contradict each other, and whether the caller has yet to acknowledge "
        "the licence; a sentence each."
    )
    decision: DecisionDocument
    published: list[Published]


class File(BaseModel):
    """A file of a version."""

    path: str = Field(examples=["model.safetensors"])
    size: int | None = Field(description="Bytes.")
    sha256: str | None


class Files(Page):
    """Files of a version, sorted by path."""

    items: list[File]


class DifferenceDocument(BaseModel):
    """In what two versions of a model differ."""

    before: str = Field(description="The number of the first version.", examples=["1.0.0"])
    after: str = Field(description="The number of the second version.", examples=["1.1.0"])
    same_files: bool
    changes: list[ChangeDocument]


class ChangeDocument(BaseModel):
    """One difference; null is what one of the two does not have."""

    area: Literal["version", "file", "card", "finding", "result"]
    what: str = Field(description="Which one: a path, a field, a rule with its path, a metric.")
    before: Any
    after: Any


def version(summary: VersionSummary, declaration: ModelDeclaration | None) -> dict[str, Any]:
    """Return a `Version` document, with what is declared of its model."""
    return {
        "name": summary.name,
        "version": summary.version,
        "status": summary.status,
        "default": summary.default,
        "purged": summary.purged,
        "size": summary.manifest.size,
        "files": summary.manifest.file_count,
        "registries": list(summary.registries),
        "source": summary.source,
        "manifest_digest": str(summary.manifest.digest),
        "created_at": summary.created_at,
        **described(summary.card, declaration),
    }


def whole_version(
    whole: ModelVersion, declaration: ModelDeclaration | None, changelog: str, warnings: Sequence[str]
) -> dict[str, Any]:
    """Return a `WholeVersion` document."""
    decision = whole.decision.to_json()
    return {
        **version(whole.summary, declaration),
        "changelog": changelog,
        "read": whole.card.to_json(),
        "warnings": list(warnings),
        "decision": {name: decision[name] for name in DecisionDocument.model_fields},
        "published": [
            {"registry": one.registry, "location": one.location, "load": list(one.load), "address": one.address}
            for one in whole.published
        ],
    }


def file(entry: FileEntry) -> dict[str, Any]:
    """Return a `File` document."""
    return {"path": entry.path, "size": entry.size, "sha256": entry.digest.hex if entry.digest else None}


def difference(found: Compared) -> dict[str, Any]:
    """Return a `Difference` document."""
    content = found.to_json()
    return {**content, "before": found.before.version, "after": found.after.version}


def model(summary: ModelSummary) -> dict[str, Any]:
    """Return a `Model` document."""
    return {
        "name": summary.name,
        "version": summary.version,
        "status": summary.status,
        "default_version": summary.version if summary.default else None,
        "versions": summary.versions,
        "size": summary.manifest.size,
        "files": summary.manifest.file_count,
        "gated": summary.gated,
        "source": summary.source,
        "manifest_digest": str(summary.manifest.digest),
        "created_at": summary.created_at.isoformat(),
        "updated_at": summary.updated_at.isoformat(),
        **described(summary.card, summary.declared),
    }


def whole_model(summary: ModelSummary) -> dict[str, Any]:
    """Return a `WholeModel` document."""
    return {
        **model(summary),
        "read": summary.card.to_json(),
        "declared": summary.declared.to_json() if summary.declared else None,
        "warnings": list(contradictions(summary.card, summary.declared)),
    }


def described(read: ModelCard, declaration: ModelDeclaration | None) -> dict[str, Any]:
    """Return the fields of spec 4 as the model's files have them, with what is declared where they say nothing."""
    card = completed(read, declaration)
    return {
        **{name: card.get(name) for name in ("architecture", "parameter_count", "description", "context_length")},
        "task": card.get("task"),
        "license_type": card.get("licence"),
        "license_restrictions": restrictions(stated_licence(read, declaration)),
        "requirements": card.get("requirements"),
        "tags": card.get("tags") or [],
    }


def restrictions(stated: StatedLicence) -> dict[str, Any] | None:
    """Return a `RestrictionsDocument`, or None where nothing is said."""
    if stated.restrictions:
        return _restrictions(restrictions_of(stated))
    found = _restrictions_of_licence(stated.name)
    return found and found.copy()


@lru_cache(maxsize=1024)
def _restrictions_of_licence(name: str) -> dict[str, Any] | None:
    """Return what a licence allows where nobody declares more; lists have few licences, many times each."""
    return _restrictions(restrictions_of(StatedLicence(read=name)))


def _restrictions(found: Restrictions) -> dict[str, Any] | None:
    return asdict(found) if found.known else None
