"""models.yaml and models.local.yaml: which models an organisation wants, as requests.

The local file overrides entries of the same `name` or `hf_repo_id` and appends the others (spec 5). Not here: what a
lock pins (lock_file), the options of sources (source_options), or how models are fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from semver import Version

from weighbridge.config.relative_paths import anchored, is_relative
from weighbridge.config.source_factories import FieldPlace, SourceFactory, read_factories, read_source
from weighbridge.config.source_options import AuthOptions
from weighbridge.config.yaml_file import YamlFile
from weighbridge.domain.adapter_names import BENCHMARKS, REGISTRIES
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.names import checked_name
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest, Pins
from weighbridge.errors import InvalidConfiguration, InvalidName, UsageError
from weighbridge.handlers.loading import OFFERED, check_handler, known_options

#: Fields that do not belong in models.yaml, each with its right place.
_ELSEWHERE = dict.fromkeys(("trust_remote_code", "allow_pickle"), ": policy.yaml allows it under `loading`, by digest")
_UNSAID: tuple[Any, ...] = (None, "", [])
_OURS = "weighbridge.handlers."
#: The service of a model that names none, and the variable that holds its key.
_OPENAI, _OPENAI_KEY = "https://api.openai.com/v1", "OPENAI_API_KEY"
_POOLINGS = ("mean", "cls", "last", "max", "mean_sqrt_len_tokens", "weightedmean")
#: The most entries with a mistake in one message.
MAX_MISTAKES = 20
LOCAL_NAMES = ("models.local.yaml", "models.local.yml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Defaults(_Strict):
    """Settings for generating a response where the request has none."""

    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None


class HandlerOptions(BaseModel):
    """The options of our own handlers; a handler class of the user may have more, which are written beside these."""

    model_config = ConfigDict(extra="allow")

    supports_structured_outputs: bool = False
    pooling: str = ""
    normalize: bool | None = None
    matryoshka: bool | None = None
    dtype: Literal["", "auto", "float32", "float16", "bfloat16"] = ""
    gguf_file: str = ""
    max_duration_s: Annotated[float, Field(gt=0)] | None = None
    image_folder: str = ""
    image_hosts: list[str] = []
    upstream_base_url: str = ""
    upstream_api_key_env: str = ""
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    owned_by: Literal["", "local", "openai", "vllm"] = ""

    @property
    def handler_options(self) -> dict[str, Any]:
        """What was given, as the handler's class takes it."""
        given = {name: value for name in HandlerOptions.model_fields if (value := getattr(self, name)) not in _UNSAID}
        if not self.supports_structured_outputs:  # Every class takes it when it is not so.
            del given["supports_structured_outputs"]
        return given | (self.model_extra or {})


class ModelEntry(HandlerOptions):
    """One entry of `models`: source, hash and auth of spec 1, and the handler fields of spec 5."""

    name: str = ""
    hf_repo_id: str = ""
    source: InstanceOf[ModelRef] | None = None
    hash: str = ""
    auth: AuthOptions | None = None
    policy: str = ""
    version: str = ""
    registries: list[str] = []
    benchmarks: list[str] = []
    handler: str = ""
    defaults: Defaults = Field(default_factory=Defaults)
    skip_download: bool = False
    _relative: bool = PrivateAttr(default=False)

    @field_validator("handler")
    @classmethod
    def _handler(cls, value: str) -> str:
        try:
            if value:
                check_handler(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("hf_repo_id")
    @classmethod
    def _repository(cls, value: str) -> str:
        if value and (why := ModelRef("huggingface", value).mistake):
            raise ValueError(why)
        return value

    @field_validator("version")
    @classmethod
    def _semantic(cls, value: str) -> str:
        if value and not Version.is_valid(value):
            raise ValueError(f"“{value}” is not a semantic version: write one such as 1.2.0")
        return value

    @field_validator("registries", "benchmarks")
    @classmethod
    def _known(cls, value: list[str], info: ValidationInfo) -> list[str]:
        known = REGISTRIES if info.field_name == "registries" else BENCHMARKS
        for name in value:
            if name not in known:
                raise ValueError(f"there is no “{name}”; known ones are {', '.join(known)}")
        return value

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
        return self

    @property
    def relative(self) -> bool:
        """Return whether the source is a path relative to models.yaml; its lock keeps the path relative."""
        return self._relative

    @property
    def key(self) -> str:
        """The model's name: `name`, else `hf_repo_id`, else the source's own name."""
        return self.name or self.hf_repo_id or self.ref().name

    def ref(self) -> ModelRef:
        """Where the model comes from."""
        return self.source or ModelRef("huggingface", self.hf_repo_id)

    def request(self) -> IngestRequest:
        """The request of this entry."""
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
            another_source=True,
        )


class ModelsFile(_Strict):
    """The top level of the file."""

    sources: dict[str, dict[str, Any]] = {}
    models: list[dict[str, Any]] = []

    @field_validator("sources", "models", mode="before")
    @classmethod
    def _none(cls, value: Any, info: ValidationInfo) -> Any:
        """Return an empty value for null, which YAML reads where everything below a field is commented out."""
        return ({} if info.field_name == "sources" else []) if value is None else value


def read_models(path: Path) -> tuple[ModelEntry, ...]:
    """Read models.yaml and the local file beside it.

    Raises:
        InvalidConfiguration: a file is not valid, or names a model twice.
    """
    locals_ = (local for name in LOCAL_NAMES if (local := path.with_name(name)).exists())
    files = [YamlFile.read(file) for file in (path, *locals_)]
    tops = [file.validate(ModelsFile, file.content) for file in files]
    factories = read_factories(files)
    entries: list[ModelEntry] = []
    for file, top in zip(files, tops, strict=True):
        before = list(entries)
        for place, entry in _entries(file, top, factories):
            overridden = _overridden(before, entry, place)
            if overridden is None:
                entries.append(entry)
            else:
                entries[entries.index(overridden)] = entry
    return tuple(entries)


def select(entries: tuple[ModelEntry, ...], wanted: str) -> tuple[ModelEntry, ...]:
    """Return the entries of a list of names, in its order, each once.

    Args:
        entries: those of models.yaml.
        wanted: names or `hf_repo_id`s, separated by commas, as in MODELS.

    Raises:
        InvalidConfiguration: the list is empty, or models.yaml lacks a model.
    """
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if not names:
        raise InvalidConfiguration("No model is chosen.", "Name some: MODELS=org/name,other.")
    known = {entry.hf_repo_id: entry for entry in entries if entry.hf_repo_id} | {entry.key: entry for entry in entries}
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(sorted(known)[:12])
        raise InvalidConfiguration(
            f"models.yaml has no {', '.join(unknown)}.", f"It has {some}{' …' if len(known) > 12 else ''}."
        )
    return tuple({known[name].key: known[name] for name in names}.values())


def requests(entries: tuple[ModelEntry, ...]) -> tuple[IngestRequest, ...]:
    """Return the requests of the entries that have something to download."""
    return tuple(entry.request() for entry in entries if not entry.skip_download)


def _overridden(known: list[ModelEntry], entry: ModelEntry, place: FieldPlace) -> ModelEntry | None:
    """Return the earlier entry that a new one replaces: the one of its name, else of its hf_repo_id.

    Raises:
        InvalidConfiguration: several entries have that hf_repo_id.
    """
    named = next((one for one in known if one.key == entry.key), None)
    if named is not None or not entry.hf_repo_id:
        return named
    alike = [one for one in known if one.hf_repo_id == entry.hf_repo_id]
    if len(alike) > 1:
        names = ", ".join(one.key for one in alike)
        raise (place / "hf_repo_id").problem(f"this overrides several models, {names}: write the `name` of one")
    return alike[0] if alike else None


def _entries(
    file: YamlFile, top: ModelsFile, factories: Mapping[str, SourceFactory]
) -> list[tuple[FieldPlace, ModelEntry]]:
    """Read the models of one file, each with its place there; InvalidConfiguration names every mistake."""
    entries: dict[str, tuple[FieldPlace, ModelEntry]] = {}
    mistakes = []
    for number, content in enumerate(top.models):
        place = FieldPlace(file, ("models", number))
        try:
            entry = _entry(content, place, factories)
            _check_name(entry, place)
            if entry.key in entries:
                raise place.problem(f"this file names the model “{entry.key}” twice: give one another `name`")
        except InvalidConfiguration as error:
            mistakes.append(error)
        else:
            entries[entry.key] = (place, entry)
    if len(mistakes) > 1:
        told = [error.problem for error in mistakes[:MAX_MISTAKES]]
        more = len(mistakes) - len(told)
        raise InvalidConfiguration("\n".join(told) + (f"\nand {more} more." if more else ""), mistakes[0].remedy)
    if mistakes:
        raise mistakes[0]
    return list(entries.values())


def _entry(content: Mapping[str, Any], place: FieldPlace, factories: Mapping[str, SourceFactory]) -> ModelEntry:
    source = None
    if content.get("source") is not None:
        source, auth = read_source(content["source"], place / "source", factories)
        content = {"auth": auth, **content, "source": anchored(source, place.file.path.parent)}  # Its own auth counts.
    entry = place.file.validate(ModelEntry, content, place.location)
    entry._relative = source is not None and is_relative(source)
    _check_options(entry, place)
    folders = (place.file.path.parent, Path.cwd())
    if entry.policy and entry.policy not in PRESETS:
        path = Path(entry.policy).expanduser()
        if not any((folder / path).is_file() for folder in folders):
            presets = ", ".join(PRESETS)
            why = f"there is no policy “{entry.policy}”; write the path of a file, or {presets}"
            raise (place / "policy").problem(why)
    return entry


def _check_name(entry: ModelEntry, place: FieldPlace) -> None:
    try:
        checked_name(entry.key)
    except InvalidName as error:
        raise (place / "name" if entry.name else place).problem(error.problem.rstrip(".")) from error


def _check_options(entry: ModelEntry, place: FieldPlace) -> None:
    """Refuse a name that is neither a field nor an option of the handler. Raises InvalidConfiguration."""
    known = known_options(entry.handler) if entry.handler else ()
    for name in entry.model_extra or ():
        if name in OFFERED:
            raise (place / name).problem("models.yaml cannot allow this; policy.yaml does, by digest, under `loading`")
        if known is not None and name not in known:
            raise (place / name).problem(f"there is no such field{_taken(entry.handler, known)}")
    for name in entry.handler_options.keys() - (entry.model_extra or {}).keys():
        if entry.handler and known is not None and name not in known:
            raise (place / name).problem(f"the handler takes no such option{_taken(entry.handler, known)}")
    if entry.pooling and entry.pooling not in _POOLINGS and (not entry.handler or entry.handler.startswith(_OURS)):
        raise (place / "pooling").problem(f"there is no pooling “{entry.pooling}”; write one of {', '.join(_POOLINGS)}")
    if known and entry.skip_download and "upstream_base_url" in known and not entry.upstream_base_url:
        if "/" in entry.hf_repo_id or entry.owned_by not in ("", "openai"):
            raise place.problem(f"{entry.handler} needs upstream_base_url")
        # A name without a publisher is one of OpenAI's own models.
        entry.upstream_base_url = _OPENAI
        entry.upstream_api_key_env = entry.upstream_api_key_env or _OPENAI_KEY


def _taken(handler: str, known: tuple[str, ...]) -> str:
    return f"; options of {handler} are {', '.join(known)}" if known else ""
