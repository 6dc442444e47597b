"""models.yaml and models.local.yaml: which models an organisation wants, as requests.

The local file overrides entries of the same `name` or `hf_repo_id` and appends the others (spec 5). Not here: what a
lock pins (lockfile) or how models are fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from weighbridge.credentials import AuthPlace
from weighbridge.errors import InvalidConfiguration, UsageError
from weighbridge.ref import ModelRef
from weighbridge.request import IngestRequest, Pins
from weighbridge.yamlfile import read_yaml

LOCAL_NAMES = ("models.local.yaml", "models.local.yml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class HuggingFaceOptions(_Strict):
    """`source.huggingface` of spec 1."""

    repo: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: str = "main"
    files: list[str] | None = None
    type: Annotated[str, Field(pattern="^(model|dataset)$")] = "model"

    def ref(self) -> ModelRef:
        """The reference these options stand for."""
        kind = "huggingface" if self.type == "model" else "huggingface-dataset"
        return ModelRef(kind, self.repo, self.revision, tuple(("files", name) for name in sorted(self.files or [])))


class PyPIOptions(_Strict):
    """`source.pypi`: a wheel of a package index."""

    package: str
    version: str = ""
    file: str = ""

    def ref(self) -> ModelRef:
        """The reference these options stand for."""
        return ModelRef("pypi", self.package, self.version, (("file", self.file),) if self.file else ())


class URLOptions(_Strict):
    """`source.url` of spec 1."""

    url: str

    def ref(self) -> ModelRef:
        """The reference these options stand for."""
        return ModelRef.parse(self.url)


class FileOptions(_Strict):
    """`source.file`: a folder or file of this machine."""

    path: str

    def ref(self) -> ModelRef:
        """The reference these options stand for."""
        return ModelRef("file", str(Path(self.path).expanduser().absolute()))


class MockOptions(_Strict):
    """`source.mock` of spec 1."""

    org: str = "test-org"
    model: str = "test-model"
    files: list[str] = ["config.json"]
    commit_sha: str = Field("", alias="commitSha")

    def ref(self) -> ModelRef:
        """The reference these options stand for."""
        options = [("files", name) for name in self.files]
        options += [("commitSha", self.commit_sha)] if self.commit_sha else []
        return ModelRef("mock", f"{self.org}/{self.model}", "", tuple(sorted(options)))


class SourceOptions(_Strict):
    """`source`: exactly one kind and its options."""

    huggingface: HuggingFaceOptions | None = None
    pypi: PyPIOptions | None = None
    url: URLOptions | None = None
    file: FileOptions | None = None
    mock: MockOptions | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("name exactly one source kind")
        return self

    def ref(self) -> ModelRef:
        """The reference that the one kind stands for."""
        (kind,) = self.model_fields_set
        options: HuggingFaceOptions = getattr(self, kind)
        return options.ref()


class AuthOptions(_Strict):
    """`auth`: where the token is kept."""

    token_env: str = Field("", alias="tokenEnvVar")
    token_file: str = Field("", alias="tokenFile")
    block: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("name exactly one of tokenEnvVar, tokenFile and block")
        return self


class ModelEntry(_Strict):
    """One entry of `models`: spec 1's source, hash and auth beside spec 5's handler fields."""

    name: str = ""
    hf_repo_id: str = ""
    source: SourceOptions | str | None = None
    hash: str = ""
    auth: AuthOptions | None = None
    policy: str = ""
    version: str = ""
    registries: list[str] = []
    benchmarks: list[str] = []
    handler: str = ""
    supports_structured_outputs: bool = False
    pooling: str = ""
    defaults: dict[str, Any] = {}
    upstream_base_url: str = ""
    upstream_api_key_env: str = ""
    skip_download: bool = False

    @field_validator("hash", mode="before")
    @classmethod
    def _pins(cls, value: Any) -> str:
        if isinstance(value, dict):
            if not value or value.keys() - {"manifest", "nar"}:
                raise ValueError("hash is one digest, or manifest, nar or both with one each")
            value = " ".join(f"{'nar:' if name == 'nar' else ''}{digest}" for name, digest in value.items())
        if not isinstance(value, str):
            raise ValueError("hash is text, or manifest, nar or both with one each")
        try:
            return str(Pins.parse(value))
        except UsageError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        if not (self.hf_repo_id or self.source):
            raise ValueError("name hf_repo_id or source")
        try:
            self.ref()
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def key(self) -> str:
        """The model's name: `name`, else `hf_repo_id`, else the source's own name."""
        return self.name or self.hf_repo_id or self.ref().name

    def ref(self) -> ModelRef:
        """Where the model comes from."""
        if isinstance(self.source, str):
            return ModelRef.parse(self.source)
        if self.source is not None:
            return self.source.ref()
        return ModelRef("huggingface", self.hf_repo_id)

    def request(self) -> IngestRequest:
        """The request this entry stands for."""
        auth = self.auth or AuthOptions.model_construct()
        pins = Pins.parse(self.hash)
        return IngestRequest(
            ref=self.ref(),
            name=self.key,
            hash=pins.hash,
            nar=pins.nar,
            version=self.version,
            policy=self.policy,
            auth=AuthPlace(auth.token_env, auth.token_file, auth.block),
            registries=tuple(self.registries),
        )


class ModelsFile(_Strict):
    """The whole file."""

    models: list[ModelEntry] = []


def read_models(path: Path) -> tuple[ModelEntry, ...]:
    """Read models.yaml and the local file beside it.

    Raises:
        InvalidConfiguration: a file does not say what it must, or names a model twice.
    """
    entries = list(_read(path))
    for local in (path.with_name(name) for name in LOCAL_NAMES):
        if not local.exists():
            continue
        for entry in _read(local):
            place = next((i for i, known in enumerate(entries) if _same(known, entry)), None)
            if place is None:
                entries.append(entry)
            else:
                entries[place] = entry
    return tuple(entries)


def requests(entries: tuple[ModelEntry, ...]) -> tuple[IngestRequest, ...]:
    """The requests of the entries that have something to download."""
    return tuple(entry.request() for entry in entries if not entry.skip_download)


def _same(known: ModelEntry, entry: ModelEntry) -> bool:
    return known.key == entry.key or bool(entry.hf_repo_id and known.hf_repo_id == entry.hf_repo_id)


def _read(path: Path) -> list[ModelEntry]:
    entries = read_yaml(path, ModelsFile).models
    seen: set[str] = set()
    for entry in entries:
        if entry.key in seen:
            raise InvalidConfiguration(f"{path} names the model {entry.key!r} twice.", "Give one another `name`.")
        seen.add(entry.key)
    return entries
