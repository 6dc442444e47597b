"""The options of each source kind in models.yaml (spec 1), and the reference that they make.

Names are spelled as in spec 1 (`trackingUri`); `tracking_uri` is accepted too. An option with its default value is left
out of the reference, so that a model has one URI however it was written. Not here: reading the file (models_file), and
options that many models share (source_factories).
"""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import EXCLUDE, FILES
from weighbridge.domain.source_kinds import KINDS, plugins, record_of
from weighbridge.errors import UsageError

_REPOSITORY = re.compile(r"^[\w.-]+(/[\w.-]+)?$")
#: The pydantic error type for a choice of options that is still open; pydantic's own `missing` is for a single one.
INCOMPLETE = "incomplete"


def _plain(value: Any) -> Any:
    """Return an integer or a boolean as text; YAML has already dropped digits of other numbers: 1.10 becomes 1.1."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("write an address that begins with https:// or http://")
    return value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Plain = Annotated[str, BeforeValidator(_plain)]
PlainList = Annotated[list[Plain], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]
WebAddress = Annotated[Text, AfterValidator(_web_address)]


class SourceOptions(BaseModel):
    """The options of one source kind."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, alias_generator=to_camel)
    #: Options of which exactly one is given.
    one_of: ClassVar[tuple[str, ...]] = ()
    files: list[Text] | None = None
    exclude: list[Text] | None = None

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        raise NotImplementedError

    def ref(self) -> ModelRef:
        """The reference of these options."""
        place = self.place()
        chosen = {(name, one) for name in (FILES, EXCLUDE) for one in getattr(self, name) or ()}
        return replace(place, options=tuple(sorted({*place.options, *chosen})))

    @classmethod
    def spellings(cls) -> dict[str, str]:
        """Every name that an option may be written by, and the field it means."""
        aliases = {(info.alias or name): name for name, info in cls.model_fields.items()}
        return aliases | {name: name for name in cls.model_fields}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [name for name in self.one_of if getattr(self, name)]
        if self.one_of and len(given) != 1:
            kind = INCOMPLETE if not given else "too_many"
            raise PydanticCustomError(kind, f"name exactly one of {', '.join(self.one_of)}")
        try:
            ref = self.ref()
            same = ModelRef.parse(ref.uri) == ref
        except UsageError as error:
            raise ValueError(str(error)) from error
        if not same:
            raise ValueError(f"these options cannot be written as one URI: {ref.uri} means another model")
        if ref.mistake:
            raise ValueError(ref.mistake)
        return self


def _options(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in given.items() if value))


class HuggingFaceOptions(SourceOptions):
    """A repository of the Hugging Face Hub."""

    repo: Annotated[str, Field(pattern=_REPOSITORY)]
    revision: Text = "main"
    type: Literal["model", "dataset"] = "model"

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        kind = "huggingface" if self.type == "model" else "huggingface-dataset"
        revision = "" if self.revision == "main" else self.revision
        return ModelRef(kind, self.repo, revision)


class MLflowOptions(SourceOptions):
    """A version of a registered model of an MLflow server."""

    one_of: ClassVar[tuple[str, ...]] = ("version", "stage", "alias")
    tracking_uri: WebAddress
    model_name: Text
    version: Plain = ""
    stage: str = ""
    alias: str = ""

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        revision = self.version or self.stage or f"@{self.alias.removeprefix('@')}"
        return ModelRef("mlflow", self.model_name, revision, _options(tracking_uri=self.tracking_uri))


class S3Options(SourceOptions):
    """The objects below a prefix of a bucket."""

    bucket: Annotated[str, Field(pattern="^[a-zA-Z0-9._-]{3,255}$")]
    prefix: str
    region: Text | None = None
    endpoint: WebAddress | None = None

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        place = f"{self.bucket}/{self.prefix.strip('/')}".rstrip("/")
        return ModelRef("s3", place, "", _options(region=self.region or "", endpoint=self.endpoint or ""))


class GitLFSOptions(SourceOptions):
    """A commit of a git repository with Git LFS."""

    url: WebAddress
    rev: Text
    subdir: str | None = None

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        parts = urlsplit(self.url)
        if parts.query or parts.fragment:
            raise ValueError("the address of a repository has no ? and no #: name rev and subdir beside it")
        url = f"{parts.scheme}://{parts.netloc}{parts.path.replace('@', '%40')}"
        return ModelRef("git-lfs", url, self.rev, _options(subdir=(self.subdir or "").strip("/")))


class GitXetOptions(SourceOptions):
    """A Xet repository of the Hugging Face Hub."""

    url: Text
    rev: Text

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        where = ModelRef.parse(f"xet:{self.url.removeprefix('xet:').removeprefix('https:')}")
        if not _REPOSITORY.fullmatch(where.id) or where.revision or where.options:
            raise ValueError("write xet://huggingface.co/org/name, or org/name, and rev beside it")
        return ModelRef("git-xet", where.id, "" if self.rev == "main" else self.rev)


class URLOptions(SourceOptions):
    """A file on the web, or an archive."""

    url: WebAddress
    extract: bool = False
    sha256: Annotated[str, Field(pattern="^([0-9a-fA-F]{64})?$")] = ""

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        where = ModelRef.parse(self.url)
        options = {*where.options, *_options(extract="true" if self.extract else "", sha256=self.sha256.lower())}
        return replace(where, options=tuple(sorted(options)))


class OllamaOptions(SourceOptions):
    """A model of Ollama's registry, or of another one."""

    model: Text
    tag: Text = "latest"
    registry: WebAddress | None = None

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        name, colon, tag = self.model.rpartition(":")
        if not colon or "/" in tag:
            name, tag = self.model, self.tag
        elif "tag" in self.model_fields_set:
            raise ValueError("the model's name has a tag already: name it once")
        options = _options(registry=self.registry or "")
        return ModelRef("ollama", name, "" if tag == "latest" else tag, options)


class PyPIOptions(SourceOptions):
    """A wheel of a package index."""

    package: Text
    version: str = ""
    file: str = ""

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        return ModelRef("pypi", self.package, self.version, _options(file=self.file))


class FileOptions(SourceOptions):
    """A folder or file of this machine."""

    path: Text
    root: str = ""
    litter: Literal["", "keep"] = ""

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        path, root = (str(Path(name).expanduser()) if name else "" for name in (self.path, self.root))
        return ModelRef("file", path, "", _options(root=root, litter=self.litter))


class MockOptions(SourceOptions):
    """A model of empty files."""

    org: Text = "test-org"
    model: Text = "test-model"
    files: list[Text] | None = ["config.json"]
    commit_sha: str = ""

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        return ModelRef("mock", f"{self.org}/{self.model}", "", _options(commitSha=self.commit_sha))


class NamedOptions(SourceOptions):
    """A model of a kind that declares no options, such as a plug-in's: the source interprets all other options."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PlainList]
    #: The kind that these options are for; a class is made for each.
    kind: ClassVar[str]
    id: Text
    revision: Plain = ""

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        options = [(name, value) for name, given in (self.__pydantic_extra__ or {}).items() for value in given]
        return ModelRef(self.kind, self.id, self.revision, tuple(sorted(options)))


def known_kinds() -> tuple[str, ...]:
    """Return the names of source kinds that models.yaml may use: our own, then those of installed packages."""
    return (*sorted(name for name, record in KINDS.items() if record.options), *plugins.installed())


def options_of(kind: str) -> type[SourceOptions] | None:
    """Return the options class of a source kind, plug-ins included; None where models.yaml has no such kind.

    Raises:
        InvalidConfiguration: several packages serve it.
    """
    if kind not in KINDS and not plugins.kind_of(kind):
        return None
    module, _, name = record_of(kind).options.partition(":")
    if not module:
        return None
    options: type[SourceOptions] = getattr(import_module(module), name)
    if not issubclass(options, NamedOptions):
        return options
    return create_model(f"Options of {kind}", __base__=options, kind=(ClassVar[str], kind))


class AuthOptions(BaseModel):
    """`auth`: where the token is kept."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    token_env: str = Field("", alias="tokenEnvVar")
    token_file: str = Field("", alias="tokenFile")
    block: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("name exactly one of tokenEnvVar, tokenFile and block")
        return self
