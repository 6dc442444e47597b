"""The documents of a version's licence: its terms, acknowledgements, and whether a use is allowed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from weighbridge.domain.acknowledgements import Acknowledgement
from weighbridge.domain.licence_names import alternatives
from weighbridge.domain.licence_table import When, licence_of
from weighbridge.domain.licence_terms import (
    Because,
    Origin,
    PlannedUse,
    Purpose,
    Ruling,
    UseJudgement,
    statements_of,
    terms_of,
)
from weighbridge.intake.licensing import LicenceStanding
from weighbridge.web.api.documents import Page, RestrictionsDocument, restrictions

Number = Annotated[str, Field(max_length=255)]
_VERSION = "Its number; empty for the default version, else the latest."
#: A character that can be seen; what only some dialects of regular expressions call a space is excluded by its code.
_VISIBLE = r"[^\s\x00-\x20\x7f-\xa0\ufeff]"


class LicenceTitle(BaseModel):
    """One of the licences that a version's expression names."""

    name: str = Field(examples=["llama3.1"])
    title: str | None = Field(description="Null where what it allows is not known here.")


class StatementDocument(BaseModel):
    """One thing that is said of the licence, with its source."""

    about: Literal["commercial_use", "derivatives", "monthly_active_users_limit"]
    value: bool | int
    origin: Literal["licence", "declaration"] = Field(description="Whether the licence's text or a person says it.")
    license: str = Field(description="The licence that says it; empty for a declaration.")
    clause: str = Field(description="Where that licence says it; or empty.", examples=["§2"])
    verified: bool = Field(
        description="Whether it was compared with the licence's own text; false for a person's word, and where there "
        "is no clause."
    )
    declared_by: str = Field(description="Who declared it; empty for a licence.")


class ConditionDocument(BaseModel):
    """One condition of a licence."""

    when: When = Field(
        description="What it counts for: every use, commercial ones, passing files on, passing changed ones on, use by "
        "others over a network, the same of a changed model."
    )
    text: str
    license: str
    clause: str = Field(description="Where that licence says it; or empty.")
    verified: bool = Field(description="Whether it was compared with the licence's own text.")


class TextDocument(BaseModel):
    """A file of the version with the text of a licence."""

    path: str = Field(examples=["LICENSE"])
    sha256: str


class LicenceDocument(BaseModel):
    """The licence of a version. A help for deciding, and no legal advice: the licence's own text counts."""

    name: str
    version: str
    license_type: str | None = Field(description="As files or a person state it.", examples=["llama3.1"])
    expression: str | None = Field(description="The same as an SPDX expression, where it is one.")
    origin: Origin = Field(description="Who states it.")
    read_from: str = Field(description="Where the files state it; or empty.", examples=["README.md#license"])
    declared: str | None = Field(description="What a person declared as the licence.")
    declared_by: str = Field(description="Who did; or empty.")
    alternatives: list[list[LicenceTitle]] = Field(
        description="The ways to fulfil it: of each, all licences hold together."
    )
    license_restrictions: RestrictionsDocument | None = Field(
        description="In all; of a choice, what the one allows that allows most."
    )
    statements: list[StatementDocument] = Field(description="Everything that is said of it, each with its source.")
    conditions: list[ConditionDocument]
    texts: list[TextDocument]
    acknowledgement_needed: bool = Field(description="Whether the policy demands one before files are given out.")
    acknowledged: bool = Field(description="Whether this caller has acknowledged it.")
    warnings: list[str]


class NewAcknowledgement(BaseModel):
    """A person has read the licence of a version; it counts for the key that sends this."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"person": "Ada Lovelace"}]})

    person: Annotated[
        str, Field(max_length=200, pattern=_VISIBLE, description="Their name."), AfterValidator(str.strip)
    ]
    version: Number = Field("", description=_VERSION)
    text_sha256: str = Field(
        "", max_length=100, description="Of the licence's file that was read; refused where the version has another."
    )


class AcknowledgementDocument(BaseModel):
    """A person's word that they have read a licence."""

    id: int
    name: str = Field(description="The model's name.")
    version: str
    license: str = Field(description="An SPDX expression where it is one; empty where none is stated.")
    texts: list[TextDocument]
    person: str
    acknowledged_by: str = Field(description="The caller who sent it.", examples=["key:ci"])
    acknowledged_at: str = Field(description="ISO 8601, UTC.")


class AcknowledgementList(Page):
    """AcknowledgementList, the newest first."""

    items: list[AcknowledgementDocument]


class UseToCheck(BaseModel):
    """A use of a version that somebody plans."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"purpose": "commercial", "users_per_month": 50000}]}
    )

    purpose: Purpose
    users_per_month: int | None = Field(None, ge=0, le=10**12, description="Null where that is not known.")
    derivative: bool = Field(False, description="Whether the model is changed, as by fine-tuning.")
    redistribution: bool = Field(False, description="Whether its files, changed or not, are passed on to others.")
    version: Number = Field("", description=_VERSION)

    def use(self) -> PlannedUse:
        """Return the use."""
        return PlannedUse(self.purpose, self.users_per_month, self.derivative, self.redistribution)


class BecauseDocument(BaseModel):
    """Why, and which clause says so."""

    text: str
    license: str = Field(description="The licence that says so; empty where none does.")
    clause: str


class Checked(BaseModel):
    """Whether a use is allowed. A help for deciding, and no legal advice: the licence's own text counts."""

    name: str
    version: str
    result: Ruling
    license: list[str] = Field(description="The licences that it is judged by: of a choice, those that allow most.")
    because: list[BecauseDocument] = Field(description="Why it is refused.")
    conditions: list[BecauseDocument] = Field(description="What it depends on.")


def licence(found: LicenceStanding) -> dict[str, Any]:
    """Return a `LicenceDocument`."""
    stated = found.stated
    by = found.declaration.by if found.declaration else ""
    return {
        "name": found.version.name,
        "version": found.version.version,
        "license_type": stated.name or None,
        "expression": stated.expression or None,
        "origin": stated.origin,
        "read_from": stated.read_from,
        "declared": stated.declared or None,
        "declared_by": by if stated.declared or stated.restrictions else "",
        "alternatives": [
            [{"name": name, "title": known.title if (known := licence_of(name)) else None} for name in way]
            for way in alternatives(stated.expression)
            if stated.expression
        ],
        "license_restrictions": restrictions(stated),
        "statements": [
            {
                "about": one.about,
                "value": one.value,
                "origin": one.origin,
                "license": one.licence,
                "clause": one.clause,
                "verified": one.verified,
                "declared_by": by if one.origin == "declaration" else "",
            }
            for one in statements_of(stated)
        ],
        "conditions": [
            {
                "when": term.when,
                "text": term.text,
                "license": name,
                "clause": term.clause,
                "verified": bool(term.clause),
            }
            for name, term in terms_of(stated)
        ],
        "texts": _texts(found.texts),
        "acknowledgement_needed": found.needed,
        "acknowledged": found.given,
        "warnings": list(found.warnings),
    }


def acknowledgement(name: str, one: Acknowledgement) -> dict[str, Any]:
    """Return an `AcknowledgementDocument`."""
    return {
        "id": one.id,
        "name": name,
        "version": one.version,
        "license": one.licence,
        "texts": _texts(one.texts),
        "person": one.person,
        "acknowledged_by": one.actor,
        "acknowledged_at": one.at,
    }


def checked(found: LicenceStanding, judgement: UseJudgement) -> dict[str, Any]:
    """Return a `Checked` document."""
    return {
        "name": found.version.name,
        "version": found.version.version,
        "result": judgement.ruling,
        "license": list(judgement.under),
        "because": [_because(one) for one in judgement.refusals],
        "conditions": [_because(one) for one in judgement.conditions],
    }


def _because(one: Because) -> dict[str, Any]:
    said = asdict(one)
    return {"text": said["text"], "license": said["licence"], "clause": said["clause"]}


def _texts(texts: Any) -> list[dict[str, str]]:
    return [{"path": path, "sha256": sha256} for path, sha256 in sorted(texts.items())]
