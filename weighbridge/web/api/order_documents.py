"""What requests for work hold: imports, registrations, new versions, scans.

Not here: what answers say of the work (web.api.job_documents).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from weighbridge.domain.names import MAX_NAME_BYTES
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest, unsigned
from weighbridge.domain.source_kinds import KINDS, kinds_by_scheme
from weighbridge.domain.webhooks import MAX_URL_LENGTH
from weighbridge.errors import InvalidReference, UsageError
from weighbridge.web.api.webhook_documents import receiver_url

#: Kinds of sources that hold what people upload themselves.
_STORAGE = ("s3", "file")
_MAX_REFERENCE, _MAX_TEXT = 4096, 10_000
_MOST_FIELDS = 50
#: Characters of values as JSON, which each list of models has; and levels of values within values: a writer of JSON
#: that meets some hundreds of them gives up.
_MAX_VALUES, _MOST_LEVELS = 20_000, 20

Short = Annotated[str, Field(max_length=300)]
Reference = Annotated[str, Field(max_length=_MAX_REFERENCE)]
ModelName = Annotated[str, Field(max_length=MAX_NAME_BYTES)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Order(_Body):
    """What every request for work may say."""

    callback_url: str = Field(
        "",
        max_length=MAX_URL_LENGTH,
        repr=False,
        description="Where the job's end is posted, signed with GET /webhooks/callback-secret; empty for nowhere.",
        examples=["https://hooks.example.com/models"],
    )

    @field_validator("callback_url")
    @classmethod
    def refuse_unreadable(cls, value: str) -> str:
        """Refuse what is not a receiver's URL."""
        return receiver_url(value) if value else value


class _Wanted(_Order):
    """What every request to take a model in may say besides where it is."""

    policy: Short = Field("", description="A preset or policy no weaker than the operator's; empty for that one.")
    hash: Short = Field("", description="The manifest digest it must have; empty for any.")
    token_env: Short = Field("", description="Variable of the server with the source's token; one of its token_places.")
    token_file: Short = Field("", description="File of the server with the source's token; one of its token_places.")
    auth_block: Short = Field("", description="Prefect block with the source's credentials, where Prefect runs jobs.")

    def requested(self, ref: ModelRef, name: str, version: str = "", *, another_source: bool = False) -> IngestRequest:
        """Return the request. Raises UsageError where a value cannot be read."""
        values = self.model_dump(include={"policy", "hash", "token_env", "token_file", "auth_block"})
        content = {
            **values,
            "uri": unsigned(ref).uri,
            "name": name,
            "version": version,
            "another_source": another_source,
        }
        return IngestRequest.from_json(content)


class ImportOrder(_Wanted):
    """A model to import: `source` and `model_id`, or a `uri`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": "huggingface", "model_id": "meta-llama/Llama-3.1-8B-Instruct", "name": "llama-3.1-8b"},
                {"uri": "ollama:llama2:7b"},
            ]
        }
    )

    source: Short = Field("", description=f"Its kind: {', '.join(KINDS)}.")
    model_id: Reference = Field("", description="Its id in that source: org/name, bucket/prefix, a URL.")
    revision: Short = Field("", description="Branch, tag, commit or version; empty for the source's default.")
    uri: Reference = Field("", description="All of that in one, as on the command line: hf:org/name@revision.")
    name: ModelName = Field("", description="Its name here; empty for the source's own.")
    version: Short = Field("", description="The semantic version it gets; empty to compute it from what changed.")

    @model_validator(mode="after")
    def refuse_two_places(self) -> Self:
        """Refuse a request that names no place of the model, or two."""
        if bool(self.uri) == bool(self.source or self.model_id or self.revision):
            raise ValueError("name the model by `source` and `model_id`, or by `uri` alone")
        if not self.uri and not (self.source and self.model_id):
            raise ValueError("`source` and `model_id` go together")
        if self.source and self.source not in KINDS:
            raise ValueError(f"there is no source of this kind: write one of {', '.join(KINDS)}, or `uri`")
        return self

    def request(self) -> IngestRequest:
        """Return what is asked for. Raises UsageError where a value cannot be read."""
        return self.requested(self._ref(), self.name, self.version)

    def _ref(self) -> ModelRef:
        if self.uri:
            return ModelRef.parse(self.uri)
        is_uri = kinds_by_scheme().get(self.model_id.partition(":")[0]) is KINDS[self.source]
        ref = ModelRef.parse(self.model_id if is_uri else ModelRef(self.source, self.model_id).uri)
        if ref.kind != self.source or ref.options:
            raise InvalidReference("The `model_id` is not an id of that source.", "Write the model's `uri` instead.")
        return ref.pinned(self.revision) if self.revision else ref


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values unchanged; refuse what JSON lacks (NaN, infinities), and too many or too deep values."""
    level: list[Any] = [values]
    for _ in range(_MOST_LEVELS):
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [value for values_ in inner for value in values_]
    if level:
        raise ValueError(f"at most {_MOST_LEVELS} levels of values within values")
    if len(json.dumps(values, allow_nan=False)) > _MAX_VALUES:
        raise ValueError(f"at most {_MAX_VALUES:,} characters of JSON")
    return values


Values = Annotated[dict[Short, Any], AfterValidator(_plain)]


def _whole(value: Any) -> Any:
    """Return a number such as 1000.0, which JSON Schema calls an integer, as one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Users = Annotated[int, Field(strict=True, ge=1, le=10**12), BeforeValidator(_whole)]


class DeclaredRestrictions(BaseModel):
    """What a licence allows, as a person declares it; further fields are kept."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"maxProperties": _MOST_FIELDS})

    commercial_use: bool | None = Field(None, strict=True)
    derivatives: bool | None = Field(None, strict=True, description="Whether changed models may be passed on.")
    monthly_active_users_limit: Users | None = None

    @model_validator(mode="after")
    def refuse_too_much(self) -> Self:
        """Refuse more fields than a licence has, and values that JSON lacks."""
        if len(_plain(self.model_dump(exclude_unset=True))) > _MOST_FIELDS:
            raise ValueError(f"at most {_MOST_FIELDS} fields")
        return self


Count = Annotated[int, Field(ge=1, le=10**15)]
Tokens = Annotated[int, Field(ge=1, le=10**12)]
Description = Annotated[str, Field(max_length=_MAX_TEXT)]
Tags = Annotated[list[Short], Field(max_length=100)]


class DeclaredMetadata(_Body):
    """What a person says of a model; its files are read as well, and a contradiction is shown."""

    architecture: Short = Field(examples=["llama"])
    parameter_count: Count = Field(examples=[7_000_000_000])
    description: Description = ""
    context_length: Tokens | None = Field(None, description="Tokens.")
    license_type: Short = Field("", examples=["apache-2.0"])
    license_restrictions: DeclaredRestrictions | None = Field(None, examples=[{"commercial_use": True}])
    requirements: Values = Field({}, max_length=_MOST_FIELDS, examples=[{"min_gpu_memory_gb": 16}])
    tags: Tags = []


class MetadataChange(_Body):
    """What a person says of a model from now on: fields that are not named stay, null takes one back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"parameter_count": 8000000000, "tags": ["chat"], "context_length": None}]}
    )

    name: ModelName | None = Field(None, description="The model's name, as in the path; it cannot be changed.")
    architecture: Short | None = None
    parameter_count: Count | None = None
    description: Description | None = None
    context_length: Tokens | None = Field(None, description="Tokens.")
    license_type: Short | None = None
    license_restrictions: DeclaredRestrictions | None = None
    requirements: Values | None = Field(None, max_length=_MOST_FIELDS)
    tags: Tags | None = None

    def changes(self, name: str) -> dict[str, Any]:
        """Return the fields that are named. Raises UsageError where another model is."""
        said = self.model_dump(exclude_unset=True)
        if said.pop("name", None) not in (None, name):
            raise UsageError("A model keeps its name.", "Leave `name` out, or write that of the path.", name=name)
        return said


#: What the schema says of a storage path; `_stored` has a better message.
_STORED: dict[str, Any] = {"pattern": "^(s3|file):"}


def _stored(path: str) -> str:
    kind = kinds_by_scheme().get(path.partition(":")[0])
    if kind is None or kind.name not in _STORAGE:
        raise ValueError("write s3://bucket/prefix, or file:/path of a folder that the operator allows")
    return path


class Registration(DeclaredMetadata, _Wanted):
    """A model that was uploaded to storage of one's own, to be registered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "my-custom-model",
                    "source": "custom",
                    "storage_path": "s3://bud-models/my-model/",
                    "architecture": "llama",
                    "parameter_count": 7000000000,
                }
            ]
        }
    )

    name: ModelName = Field(min_length=1)
    source: Literal["custom"] = "custom"
    storage_path: Reference = Field(
        description="s3://bucket/prefix, or file:/path within what the operator allows.", json_schema_extra=_STORED
    )
    version: Short = Field("", description="The semantic version it gets; empty for 1.0.0.")

    _check = field_validator("storage_path")(_stored)

    def request(self) -> IngestRequest:
        """Return what is asked for. Raises UsageError where a value cannot be read."""
        return self.requested(ModelRef.parse(self.storage_path), self.name, self.version)

    def declared(self) -> dict[str, Any]:
        """Return what is said of the model, as plain JSON without what is not said."""
        return self.model_dump(include=set(DeclaredMetadata.model_fields), exclude_defaults=True)


class NewVersion(_Wanted):
    """A new version of a model."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "2.0.0",
                    "storage_path": "s3://bud-models/my-model-v2/",
                    "changelog": "Updated fine-tuning",
                }
            ]
        }
    )

    version: Short = Field("", description="The semantic version it gets; empty to compute it from what changed.")
    storage_path: Reference = Field(
        description="s3://bucket/prefix, or file:/path within what the operator allows; another one than that of the "
        "version before, too.",
        json_schema_extra=_STORED,
    )
    changelog: str = Field("", max_length=_MAX_TEXT, description="What is new, for people.")

    _check = field_validator("storage_path")(_stored)

    def request(self, name: str) -> IngestRequest:
        """Return what is asked for. Raises UsageError where a value cannot be read."""
        return self.requested(ModelRef.parse(self.storage_path), name, self.version, another_source=True)


class ScanOrder(_Order):
    """Another scan of a version."""

    version: Short = Field("", description="Its number; empty for the default version, else the latest.")
